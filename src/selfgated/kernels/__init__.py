"""NumPy kernels: every activation f with f' (``_grad``) and f'' (``_grad2``), stable in every floating type.

Each is called as ``gelu(z, *, out=None)``; some take a parameter: ``swish(z, beta=1.0)``,
``leaky_relu(z, negative_slope=0.01)``, ``elu(z, alpha=1.0)``.

Parameters
----------
z : array_like, any shape
    Pre-activations, dimensionless: float16, bfloat16 (from ml_dtypes), float32, float64, or integers, which
    count as float64.
out : ndarray, optional
    Where to write; `z` itself is allowed.

Returns
-------
ndarray, or a scalar for a scalar: the shape and dtype of `z` (float64 for integers).

Raises
------
TypeError
    For complex, object and other types, and an `out` of the wrong dtype.
ValueError
    For an `out` of the wrong shape, and for a parameter that is NaN or infinite.

Notes
-----
float16 and bfloat16 results are correctly rounded, at the default parameters and for Swish at the seven betas
that are tested; elsewhere a tie may go the wrong way. float32 is within 0.51 ULP, float64 within 8 (f, f')
and 13 ULP (f''), zeros of the derivatives and subnormal results included: ``tests/test_kernels.py``, ``make
ulp`` and chapter 06. NaN gives NaN, an infinity gives the limit; no input warns.

Examples
--------
>>> import numpy as np
>>> print(*silu_grad(np.float32([-100.0, 0.0, 100.0])))
-3.683e-42 0.5 1.0
"""

from selfgated.kernels.basic import (
    elu,
    elu_grad,
    elu_grad2,
    identity,
    identity_grad,
    identity_grad2,
    leaky_relu,
    leaky_relu_grad,
    leaky_relu_grad2,
    relu,
    relu6,
    relu6_grad,
    relu6_grad2,
    relu_grad,
    relu_grad2,
    sigmoid,
    sigmoid_grad,
    sigmoid_grad2,
    softplus,
    softplus_grad,
    softplus_grad2,
    tanh,
    tanh_grad,
    tanh_grad2,
)
from selfgated.kernels.gelu import (
    gelu,
    gelu_grad,
    gelu_grad2,
    gelu_sigmoid,
    gelu_sigmoid_grad,
    gelu_sigmoid_grad2,
    gelu_tanh,
    gelu_tanh_grad,
    gelu_tanh_grad2,
)
from selfgated.kernels.hard_swish import (
    hard_sigmoid,
    hard_sigmoid_grad,
    hard_sigmoid_grad2,
    hard_swish,
    hard_swish_grad,
    hard_swish_grad2,
)
from selfgated.kernels.mish import (
    mish,
    mish_grad,
    mish_grad2,
)
from selfgated.kernels.swish import (
    silu,
    silu_grad,
    silu_grad2,
    swish,
    swish_beta_grad,
    swish_grad,
    swish_grad2,
)

__all__ = [
    "elu",
    "elu_grad",
    "elu_grad2",
    "gelu",
    "gelu_grad",
    "gelu_grad2",
    "gelu_sigmoid",
    "gelu_sigmoid_grad",
    "gelu_sigmoid_grad2",
    "gelu_tanh",
    "gelu_tanh_grad",
    "gelu_tanh_grad2",
    "hard_sigmoid",
    "hard_sigmoid_grad",
    "hard_sigmoid_grad2",
    "hard_swish",
    "hard_swish_grad",
    "hard_swish_grad2",
    "identity",
    "identity_grad",
    "identity_grad2",
    "leaky_relu",
    "leaky_relu_grad",
    "leaky_relu_grad2",
    "mish",
    "mish_grad",
    "mish_grad2",
    "relu",
    "relu6",
    "relu6_grad",
    "relu6_grad2",
    "relu_grad",
    "relu_grad2",
    "sigmoid",
    "sigmoid_grad",
    "sigmoid_grad2",
    "silu",
    "silu_grad",
    "silu_grad2",
    "softplus",
    "softplus_grad",
    "softplus_grad2",
    "swish",
    "swish_beta_grad",
    "swish_grad",
    "swish_grad2",
    "tanh",
    "tanh_grad",
    "tanh_grad2",
]
