"""Products and exponentials that keep what one float64 would round away.

An argument error d of exp becomes a relative error d of its value: at exp(-700) half a unit in the last place
of the argument is 400 units of the result. So arguments are carried as unevaluated sums hi + lo of two
float64.
"""

from selfgated.kernels._constants import HALF_SHIFT_FACTOR

SPLITTER = 134217729.0  # 2^27 + 1
FAR = 3000.0  # beyond, exp(-FAR) times any float64 is zero
SHIFT_FROM = -650.0  # below, exp comes near the subnormal numbers, which hold fewer digits
SHIFT = 800.0


def halves(x):
    """Split x into two float64 of at most 26 bits each (Veltkamp); |x| < 2^995."""
    c = SPLITTER * x
    high = c - (c - x)
    return high, x - high


def two_product(x, y):
    """x * y as hi + lo exactly (Dekker), barring overflow and underflow."""
    hi = x * y
    x_high, x_low = halves(x)
    y_high, y_low = halves(y)
    return hi, ((x_high * y_high - hi) + x_high * y_low + x_low * y_high) + x_low * y_low


def two_sum(x, y):
    """x + y as hi + lo exactly (Knuth)."""
    hi = x + y
    shift = hi - x
    return hi, (x - (hi - shift)) + (y - shift)


def scaled_product(ops, z, beta, beta_lo=0.0):
    """(beta + beta_lo) z as hi + lo, hi clipped to +-FAR, for any finite beta and any z.

    Powers of two move beta into a range where the product of the halves neither overflows nor underflows.
    """
    size = ops.abs(beta)
    tiny, huge = size < 2.0**-300, size > 2.0**300
    up = ops.where(tiny, 2.0**600, ops.where(huge, 2.0**-600, 1.0))
    down = ops.where(tiny, 2.0**-600, ops.where(huge, 2.0**600, 1.0))
    z = ops.clip(z * down, -(2.0**450), 2.0**450)
    hi, lo = two_product(z, beta * up)
    lo = lo + z * (beta_lo * up)
    lo = ops.where(ops.abs(hi) < FAR, lo, 0.0)
    return ops.clip(hi, -FAR, FAR), lo


def scaled_exp(ops, hi, lo=0.0):
    """(e, k) with exp(hi + lo) = k e k for hi in [-FAR, 0], e normal wherever k e k times a float64 is not
    zero.

    The caller multiplies ((x k) e) k: only the last product can round to a subnormal number.
    """
    far = hi < SHIFT_FROM
    e = ops.exp(hi + ops.where(far, SHIFT, 0.0))
    return e + e * lo, ops.where(far, HALF_SHIFT_FACTOR, 1.0)


def off_tie(ops, y, rest):
    """y, moved by about one ULP towards the sign of `rest`, where y is short and `rest` is not zero.

    `rest` is what the rounding to float64 left out. A short y, of 26 bits, may lie half-way between two
    numbers of a narrower type, and then the rest alone decides how it is to be rounded. Where the result is
    float64 itself, y stays.
    """
    if not ops.narrow:
        return y
    short = (halves(y)[1] == 0) & (rest != 0)
    return ops.where(short, y + ops.copysign(2.0**-52 * ops.abs(y), rest), y)


def quadratic_rest(ops, z, a):
    """The sign of a z where abs(a) is so small that z / 2 + a z / 4 may round to z / 2, else 0."""
    return ops.where(ops.abs(a) < 2.0**-51, a * z, 0.0)


def horner(coefficients, d):
    """d (c[0] + d (c[1] + ...)): a Taylor series about a zero."""
    total = coefficients[-1]
    for c in coefficients[-2::-1]:
        total = c + d * total
    return d * total
