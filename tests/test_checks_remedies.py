"""Self-checks of assignment 11: each typical mistake gets its sentence, right answers get none."""

import contextlib
import io

import numpy as np
import pytest
from complaints import complaints_of

from selfgated.checks import remedies as check
from selfgated.grading.assignment import Assignment

ASSIGNMENT = Assignment.load("11_remedies")
complaint = complaints_of(check)


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("gradient_growth", "(1 + alpha^2*chi)^L", "take the root"),
        ("gradient_growth", "sqrt(1 + alpha^2*chi)", "this is one block"),
        ("gradient_growth", "(1 + alpha*chi)^(L/2)", "they enter squared"),
        ("gradient_growth", "1 + L*alpha^2*chi/2", "you added them"),
        ("gradient_growth", "(alpha*sqrt(chi))^L", "the skip adds 1"),
        ("gradient_growth", "2*(1 + alpha^2*chi)^(L/2)", "differs at alpha = "),
        ("largest_branch", "sqrt(2/L/chi)", "approximation for deep networks"),
        ("largest_branch", "(exp(2/L) - 1)/chi", "this is alpha^2"),
        ("largest_branch", "sqrt((exp(1/L) - 1)/chi)", "its root is the length"),
        ("largest_branch", "sqrt(exp(2/L) - 1)", "chi is missing"),
        ("largest_branch", "sqrt((exp(2/L) + 1)/chi)", "bring the 1 of the skip"),
        ("limit_growth", "exp(chi)", "square of the length"),
        ("limit_growth", "1 + chi/2", "it is an exponential"),
        ("limit_growth", "1", "more and more blocks"),
        ("limit_growth", "exp(x/2)", "unknown symbol 'x'"),
        ("mean_square", "1", "without eps only"),
        ("mean_square", "v/(v + eps)^2", "does not square v + eps"),
        ("mean_square", "sqrt(v/(v + eps))", "without the root"),
        ("mean_square", "v/sqrt(v + eps)", "square the denominator too"),
        ("mean_square", "eps/(v + eps)", "missing to 1"),
        ("scale_slope", "0", "without eps only"),
        ("scale_slope", "1", "v grows with c as well"),
        ("scale_slope", "v/(v + eps)", "takes away from 1"),
        ("scale_slope", "-eps/(v + eps)", "the sign"),
        ("scale_slope", "(v/2 + eps)/(v + eps)", "cancels the 1/2 of the root"),
        ("pair_gradient", "G*eps/(d^2 + eps)^(3/2)", "a factor 1/2"),
        ("pair_gradient", "G/(2*sqrt(d^2 + eps))", "depends on u1 as well"),
        ("pair_gradient", "G/sqrt(d^2 + eps)", "neither the mean nor the variance"),
        ("pair_gradient", "0", "for eps = 0 only"),
        ("pair_gradient", "-G*eps/(2*(d^2 + eps)^(3/2))", "z_1 grows with u_1"),
        ("pair_gradient", "G*d^2/(2*(d^2 + eps)^(3/2))", "the other part is left"),
        ("pair_gradient", "G*eps/(2*sqrt(d^2 + eps))", "one more power"),
        ("uncorrected_step", "1", "the step with the corrections"),
        ("uncorrected_step", "(1 - b1)/(1 - b2)", "the root of v_1"),
        ("uncorrected_step", "sqrt(1 - b2)/(1 - b1)", "upside down"),
        ("uncorrected_step", "b1/sqrt(b2)", "m_0 = 0"),
        ("uncorrected_step", "(b1 - 1)/sqrt(1 - b2)", "no sign"),
        ("hidden_gradient", "eps*p", "stand below together"),
        ("hidden_gradient", "eps*(1 - p)/p", "upside down"),
        ("hidden_gradient", "eps/(1 - p)", "this is g + eps"),
        ("hidden_gradient", "p/(1 - p)", "eps is missing"),
        ("hidden_gradient", "p*eps/(1 + p)", "a sign"),
        ("echo", "(1 - b1)*b1^(t - 1)*((1 - b2)*b2^(t - 1))^-0.5", "the corrections are missing"),
        (
            "echo",
            "(1 - b1)*b1^(t - 1)*((1 - b2)*b2^(t - 1))^-0.5*sqrt(1 - b2^t)",
            "the correction of m is missing",
        ),
        (
            "echo",
            "(1 - b1)*b1^(t - 1)*((1 - b2)*b2^(t - 1))^-0.5/(1 - b1^t)",
            "the correction of v is missing",
        ),
        (
            "echo",
            "(1 - b1)*b1^t*((1 - b2)*b2^t)^-0.5*sqrt(1 - b2^t)/(1 - b1^t)",
            "t - 1 times, not t times",
        ),
        ("echo", "(b1/sqrt(b2))^(t - 1)", "do not serve at step t"),
        (
            "echo",
            "(1 - b1)*b1^(t - 1)*((1 - b2)*b2^(t - 1))^-0.5*(1 - b2^t)/(1 - b1^t)",
            "stands under a root",
        ),
        ("echo", "1", "at different rates"),
    ],
)
def test_formula_mistake_gets_its_sentence(name, text, words):
    assert words in complaint(name, lambda: text)


def centred(u, axes):
    return u - u.mean(axis=axes, keepdims=True)


def norm(u, scale, shift, eps, *, axes=None, ddof=0, root=False, naive=False, kind=None):
    axes = axes or tuple({*range(u.ndim)} - {1})
    shape = (1, -1) + (1,) * (u.ndim - 2)
    v = u.var(axis=axes, keepdims=True, ddof=ddof)
    if naive:
        v = (u * u).mean(axis=axes, keepdims=True) - u.mean(axis=axes, keepdims=True) ** 2
    z = centred(u, axes) / (np.sqrt(v) + eps if root else np.sqrt(v + eps))
    return (scale.reshape(shape) * z + shift.reshape(shape)).astype(kind or u.dtype)


def into_u(u, scale, shift, eps):
    result = norm(u, scale, shift, eps)
    u[:] = result
    return result


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda u, w, s, e: norm(u, w, 0 * s, e), "the shift is missing"),
        (lambda u, w, s, e: norm(u, w**0, s, e), "the scale is missing"),
        (lambda u, w, s, e: norm(u, w, s, 0), "eps is missing"),
        (lambda u, w, s, e: norm(u, w, s, e, root=True), "under the root"),
        (lambda u, w, s, e: norm(u, w, s, e, ddof=1), "not N - 1"),
        (lambda u, w, s, e: norm(u, w, s, e, axes=(0,)), "places of the map"),
        (lambda u, w, s, e: norm(u, w, s, e, naive=True), "has lost its digits"),
        (lambda u, w, s, e: norm(u, w, s, e, kind=float), "dtype float64, where float32"),
        (lambda u, w, s, e: norm(u, w, s, e).T, "shape (3, 5)"),
        (into_u, "changed its input u"),
        (lambda u, w, s, e: None, "returned nothing"),
    ],
)
def test_batch_norm_mistake_gets_its_sentence(answer, words):
    assert words in complaint("batch_norm", answer)


def backward(g, u, scale, eps, *, mean=1, along=1, scaled=True, by=None, reduce=np.sum, order=(0, 1, 2)):
    axes = tuple({*range(u.ndim)} - {1})
    delta = g * scale.reshape((1, -1) + (1,) * (u.ndim - 2)) if scaled else g
    s = np.sqrt(u.var(axis=axes, keepdims=True) + eps)
    z = centred(u, axes) / s
    grad = (
        delta
        - mean * delta.mean(axis=axes, keepdims=True)
        - along * z * (z * delta).mean(axis=axes, keepdims=True)
    )
    by = u if by == "u" else z
    every = grad / s, reduce(by * g, axis=axes), reduce(g, axis=axes)
    return tuple(every[i] for i in order)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mean": 0, "along": 0}, "both depend on every u_b"),
        ({"along": 0}, "the term of the variance is missing"),
        ({"mean": 0}, "the term of the mean is missing"),
        ({"scaled": False}, "grad_y times scale"),
        ({"by": "u"}, "scale multiplies z, not u"),
        ({"reduce": np.mean}, "this is a mean"),
        ({"order": (0, 2, 1)}, "this is the gradient by shift"),
        ({"order": (0, 1, 1)}, "this is the gradient by scale"),
        ({"order": (0, 1)}, "return the tuple (grad_u"),
        ({"along": -1}, "differs at"),
    ],
)
def test_batch_norm_backward_mistake_gets_its_sentence(options, words):
    assert words in complaint("batch_norm_backward", lambda *given: backward(*given, **options))


def test_batch_norm_backward_mean_of_the_last_gradient_alone_gets_its_sentence():
    def answer(g, *rest):
        return *backward(g, *rest)[:2], g.mean(axis=tuple({*range(g.ndim)} - {1}))

    assert "sum over the batch" in complaint("batch_norm_backward", answer)


def test_batch_norm_backward_of_a_constant_channel_must_be_finite():
    def answer(g, u, scale, eps):
        factor = u.std() / u.std()
        return tuple(factor * part for part in backward(g, u, scale, eps))

    assert "constant channel" in complaint("batch_norm_backward", answer)


def lengths(grads):
    return np.sqrt(sum((g**2).reshape(len(g), -1).sum(axis=1) for g in grads))


def scaled(grads, factor):
    return [(g.T * np.asarray(factor, g.dtype)).T for g in grads]


def plain(grads, limit):
    return scaled(grads, np.minimum(1, limit / lengths(grads))), lengths(grads)


def safe(grads, limit):
    flat = np.concatenate([g.reshape(len(g), -1) for g in grads], axis=1)
    top = np.maximum(abs(flat).max(axis=1), np.finfo(flat.dtype).tiny)
    norms = top * np.linalg.norm(flat / top[:, None], axis=1)
    return scaled(grads, limit / np.maximum(norms, limit)), norms


def in_place(grads, limit):
    clipped, norms = plain(grads, limit)
    for grad, new in zip(grads, clipped, strict=True):
        grad[...] = new
    return grads, norms


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            lambda g, c: (plain(g, c)[0], np.full(len(g[0]), np.sqrt(np.sum(lengths(g) ** 2)))),
            "one norm per network",
        ),
        (lambda g, c: (plain(g, c)[0], lengths(g) ** 2), "square of the norm"),
        (
            lambda g, c: (g, np.max([abs(a).reshape(len(a), -1).max(axis=1) for a in g], axis=0)),
            "the largest entry",
        ),
        (lambda g, c: (plain(g, c)[0], np.minimum(c, lengths(g))), "before clipping"),
        (lambda g, c: (g, lengths(g[:1])), "not the first alone"),
        (lambda g, c: ([plain([a], c)[0][0] for a in g], lengths(g)), "all arrays of a network"),
        (lambda g, c: (scaled(g, c / lengths(g)), lengths(g)), "stays as it is"),
        (lambda g, c: ([np.clip(a, -c, c) for a in g], lengths(g)), "turns the gradient"),
        (
            lambda g, c: (scaled(g, np.full(len(g[0]), min(1, c / np.linalg.norm(lengths(g))))), lengths(g)),
            "another's factor",
        ),
        (lambda g, c: ([a.astype(float) for a in plain(g, c)[0]], lengths(g)), "dtype float32"),
        (lambda g, c: (plain(g, c)[0][:2], lengths(g)), "3 arrays came in, 2 came out"),
        (lambda g, c: plain(g, c)[0], "return the tuple (clipped, norms)"),
        (lambda g, c: None, "returned nothing"),
        (in_place, "changed its input"),
        (
            lambda g, c: (scaled(g, np.minimum(c, lengths(g)) / lengths(g)), lengths(g)),
            "0 / 0 is nan",
        ),
        (plain, "divide by the largest entry first"),
        (safe, "norm inf, clipped gradient 0"),
    ],
)
def test_clip_networks_mistake_gets_its_sentence(answer, words):
    assert words in complaint("clip_networks", answer)


def adam(grad, m, r, t, eta, eps, *, up=True, down=0.5, sign=-1, add=None, under=False, power=1, zero=True):
    m = 0.9 * m + 0.1 * grad
    add = add or (lambda r, grad: np.hypot(0.999**0.5 * r, 0.001**0.5 * grad))
    r = add(r, grad)
    below = r**power / (1 - 0.999**t) ** down
    below = np.sqrt(below**2 + eps) if under else below + eps
    above = m / (1 - 0.9**t) if up else m
    step = sign * eta * (above / (np.where(below == 0, below.dtype.type(1), below) if zero else below))
    return step, m, r


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sign": 1}, "against the gradient"),
        ({"up": False, "down": 0}, "the corrections 1 - 0.9^t"),
        ({"up": False}, "the correction of m is missing"),
        ({"down": 0}, "the correction of r is missing"),
        ({"down": 1}, "so is its correction"),
        ({"down": 1, "power": 2}, "this divides by v"),
        ({"under": True}, "added to the root"),
        ({"add": lambda r, g: 0.999 * r + 0.001 * abs(g)}, "the squares are averaged"),
        ({"add": lambda r, g: 0.999 * r**2 + 0.001 * g**2}, "return its root"),
        ({"add": lambda r, g: np.sqrt(0.999 * r + 0.001 * g**2)}, "its square is v"),
        ({"add": lambda r, g: np.sqrt(0.999 * r**2 + 0.001 * g**2)}, "np.hypot"),
        ({"zero": False}, "its step is 0"),
    ],
)
def test_adam_step_mistake_gets_its_sentence(options, words):
    assert words in complaint("adam_step", lambda *given: adam(*given, **options))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda g, m, *rest: (0 * g, 0.1 * m + 0.9 * g, 0 * g), "0.9 belongs to the old m"),
        (
            lambda g, m, r, t, *rest: (0 * g, (0.9 * m + 0.1 * g) / (1 - 0.9**t), r),
            "m without its correction",
        ),
        (
            lambda *given: (*adam(*given)[:2], adam(*given)[2] / (1 - 0.999 ** given[3]) ** 0.5),
            "r without its correction",
        ),
        (lambda *given: adam(*given)[0], "return the tuple (step, m, r)"),
        (lambda *given: tuple(a.astype(float) for a in adam(*given)), "where float32 is expected"),
        (lambda *given: None, "returned nothing"),
    ],
)
def test_adam_step_wrong_state_gets_its_sentence(answer, words):
    assert words in complaint("adam_step", answer)


def test_table_of_the_open_question_is_as_the_model_answer_says():
    space = {}
    for cell in ("setup", "p7-demo"):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(ASSIGNMENT.by_id[cell].source, space)
    table = space["table"]
    adam, skip = table["Adam", 0.01], table["skip", 0.3]
    assert max(table["none", 1].max(), table["clip", 1].max(), table["Adam", 0.003].min()) < 0.55
    assert adam.max() > table["Adam", 0.003].max()
    assert skip.mean() > table["skip", 0.1].mean()
    assert np.round([adam.max(), skip.max(), skip.min()], 2).tolist() == [0.98, 0.92, 0.78]
    assert np.round([adam.mean(), skip.mean()], 2).tolist() == [0.85, 0.88]
    assert table["skip + Adam", 0.003].min() > 0.935
    assert space["accuracy"]("Adam", 0.01, depth=16).max() < 0.5
    assert (space["accuracy"]("Adam", 0.01, steps=80) < 0.5).sum() == 4


def test_gradients_of_the_open_question_are_as_the_model_answer_says():
    seen, space = [], {}
    anchor = '        if "clip" in remedy:\n'
    source = ASSIGNMENT.by_id["p7-demo"].source
    assert source.count(anchor) == 1
    exec(ASSIGNMENT.by_id["setup"].source, space)
    space["see"] = lambda h, grads: seen.append((h, grads))
    with contextlib.redirect_stdout(io.StringIO()):
        exec(source.replace(anchor, f"        see(h, grads)\n{anchor}"), space)
    seen.clear()
    space["accuracy"]("none", 1)
    lengths = [sum((g**2).sum(axis=(1, 2)) for g in grads) ** 0.5 for _, grads in seen]
    assert (lengths[0] > 0.1).any()
    assert not np.greater(lengths[1:], 0.1).any()
    spread = np.array([h.std(axis=1).mean(axis=1) for h in seen[0][0][1:]])
    shrink = (spread[0] / spread[-1]) ** (1 / (len(spread) - 1))
    assert 3.8 < shrink.min() < shrink.max() < 5
    seen.clear()
    space["accuracy"]("Adam", 0.01)
    first = np.array([np.sqrt((grads[0] ** 2).mean(axis=(1, 2))) for _, grads in seen]).min(axis=0)
    assert first.min() > 5e-8
    assert first.max() < 1e-6
