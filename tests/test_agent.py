"""The codec that crosses the wall of the sandbox, and the agent that speaks it from inside."""

import base64
import json
import math
import textwrap

import numpy as np
import pytest

from selfgated.checks.engine import AnswerError
from selfgated.grading.inside import codec
from selfgated.grading.remote import STRIKES, RemoteStudent
from selfgated.grading.sandbox import Limits, Sandbox, find_sandbox

needs_bubblewrap = pytest.mark.skipif(find_sandbox() == "none", reason="bubblewrap cannot run here")
LIMITS = Limits(cpu=0.5, idle=0.5)


def there_and_back(value, **options):
    return codec.decode(codec.parse(codec.pack(codec.encode(value))[4:]), **options)


VALUES = [
    *(None, True, False, 0, -7, 2**80, 1.5, -0.0, math.pi, 5e-324, 1e308, "", "f(z) = z σ(z)\n", 1 - 2j),
    *([], (), {}, [1, (2.0, "x", [None])], {"a": [1], 2: (3,), None: {}}, [[]] * 3),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_codec_returns_plain_data_as_it_was(value):
    found = there_and_back(value)
    assert found == value
    assert type(found) is type(value)
    assert repr(found) == repr(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, complex(math.nan, -math.inf)], ids=repr)
def test_codec_returns_what_json_lacks(value):
    assert repr(there_and_back([value])) == repr([value])


@pytest.mark.parametrize("dtype", sorted(codec.DTYPES))
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4), (1, 1, 2)])
def test_codec_returns_arrays_with_dtype_shape_and_bits(dtype, shape):
    raw = np.random.default_rng(3).integers(0, 255, (*shape, np.dtype(dtype).itemsize), dtype=np.uint8)
    value = np.asarray(raw.astype(bool).any(axis=-1)) if dtype == "|b1" else raw.view(dtype)[..., 0]
    found = there_and_back(value)
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.shape, found.tobytes()) == (value.dtype, value.shape, value.tobytes())
    assert found.flags.writeable
    if shape == (3,):
        assert type(there_and_back(value[0])) is type(value[0])


def test_codec_returns_views_and_other_byte_orders_as_plain_arrays():
    value = np.arange(12, dtype=">f4").reshape(3, 4).T[::2]
    found = there_and_back(value)
    assert found.dtype == np.dtype("<f4")
    np.testing.assert_array_equal(found, value)
    assert type(there_and_back(np.ma.masked_array([1.0, 2.0], [0, 1]))) is np.ndarray


def test_codec_returns_tensors_where_they_are_allowed():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.bfloat16, torch.bool, torch.int64, torch.complex64):
        value = torch.tensor([[0, 1, 3]]).to(dtype)
        found = there_and_back(value, tensors=True)
        assert found.dtype == dtype
        assert torch.equal(found, value)
    assert not there_and_back(torch.ones(2, requires_grad=True), tensors=True).requires_grad
    with pytest.raises(codec.CodecError, match="no data of the kind 'tensor'"):
        there_and_back(torch.ones(2))


class Liar(list):
    """A subclass, which arrives as its base."""


def test_codec_makes_subclasses_plain():
    assert type(there_and_back(Liar([1]))) is list


def _deep():
    value = []
    for _ in range(50):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "type object, which is no plain data"),
        ({1, 2}, "type set"),
        (len, "type builtin_function_or_method"),
        (b"bytes", "type bytes"),
        (np.array([None]), "dtype object"),
        (np.array(["text"]), "dtype <U4"),
        (np.zeros(2, dtype=[("a", "f8")]), "which is no plain number"),
        (np.broadcast_to(0.0, (10**6, 10**6)), "an array of 8000000000000 bytes"),
        (1 << 10**5, "an integer of 100001 bits"),
        (_deep(), "deeper than 20 levels"),
    ],
    ids=["object", "set", "function", "bytes", "objects", "texts", "records", "view", "integer", "deep"],
)
def test_encode_refuses_what_is_no_plain_data(value, reason):
    with pytest.raises(codec.CodecError, match=reason):
        codec.encode(value)


def _array(dtype="<f8", shape=(2,), data=bytes(16)):
    text = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    return {"array": [dtype, list(shape), text]}


@pytest.mark.parametrize(
    "node",
    [
        _array("|O"),
        _array("O8"),
        _array("<U2"),
        _array("<f8, <f8"),
        _array(["<f8"]),
        _array(shape=(3,)),
        _array(shape=(-1,)),
        _array(shape=(-2, -1)),
        _array(shape=(2.0,)),
        _array(shape=(True, 2)),
        _array(shape=(1,) * 40),
        _array(shape=(2**31 - 1,) * 4),
        _array(data="no base64!"),
        _array(data="AAAA\u0661"),
        _array(data=7),
        {"array": ["<f8", 2, ""]},
        {"array": "<f8"},
        {"array": ["<f8", [2], "", "more"]},
        {"scalar": ["<f8", ""]},
        {"float": "0x1p3"},
        {"float": [1]},
        {"complex": [1, "j"]},
        {"complex": [True, 1]},
        {"tuple": {"0": 1}},
        {"dict": {"a": 1}},
        {"dict": [["a"]]},
        {"dict": [[[1], 2]]},
        {"dict": [["a", 1], ["a", 2]]},
        {"__class__": "os"},
        {},
        {"tuple": [], "dict": []},
        {"tensor": ["float32", [1], "AAAAAA=="]},
        {"tensor": ["__class__", [1], "AAAAAA=="]},
        [[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]],
    ],
    ids=lambda node: json.dumps(node)[:40],
)
def test_decode_refuses_what_encode_never_sends(node):
    with pytest.raises(codec.CodecError):
        codec.decode(node)


def test_decode_makes_bytes_of_a_boolean_array_true_or_false():
    found = codec.decode(_array("|b1", data=b"\x07\x00"))
    assert found.view(np.uint8).tolist() == [1, 0]


def test_decode_returns_text_that_can_be_stored():
    codec.decode("\ud800 and \x00").encode("utf-8")


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"{",
            b"NaN",
            b"-Infinity",
            b"1e999",
            b"9" * 1001,
            b'{"a": 1, "a": 2}',
            b"\xff",
            b"\xef\xbb\xbf1",
        ),
        *(b"[" * 10**5, b"[0" + b",0" * codec.NODES + b"]", b" " * (codec.FRAME + 1), b"1 2", b'"\x01"'),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_parse_refuses_what_is_not_strict_json(body):
    with pytest.raises(codec.CodecError):
        codec.parse(body)


def student(*cells, **limits):
    """A student whose notebook has these cells; one that starts with `#` was added."""
    named = [(f"c{k}", textwrap.dedent(code), code.lstrip().startswith("#")) for k, code in enumerate(cells)]
    return RemoteStudent(named, "bubblewrap", ["numpy"], Limits(**{"cpu": 0.5, "idle": 0.5, **limits}))


@needs_bubblewrap
def test_call_passes_data_and_brings_changes_back():
    code = """
        import numpy as np
        def twice(z, *, by=2): return z * by
        def clear(z): z[...] = 0
        def grow(values): values.append(3)
        def turn(z): z.shape = (3, 2)
        """
    with student(code) as remote:
        remote.run_cells()
        z = np.arange(6, dtype=np.float32).reshape(2, 3)
        found = remote.call("twice", (z,), {"by": np.float32(3)})
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, 3 * z)
        np.testing.assert_array_equal(z, np.arange(6).reshape(2, 3))
        values = [1]
        remote.call("grow", (values,), {})
        assert values == [1, 3]
        assert remote.call("clear", (z,), {}) is None
        assert not z.any()
        with pytest.raises(AnswerError, match="turn changed the shape or the dtype of its input"):
            remote.call("turn", (z,), {})
        assert remote.run("result = twice(z) + k", {"z": 5, "k": 1}) == 11


@needs_bubblewrap
def test_call_says_what_went_wrong():
    code = """
        def unfinished(): raise NotImplementedError
        def broken(): return {}["key"]
        def leaving(): raise SystemExit(3)
        def odd(): return [object()]
        value = 3
        class Sly(Exception):
            def __str__(self): raise ValueError
        def sly(): raise Sly
        """
    sentences = {
        "unfinished": "unfinished is not answered yet",
        "broken": "broken raised KeyError: 'key'",
        "leaving": "leaving raised SystemExit: 3",
        "odd": "what odd returned holds an object of type object, which is no plain data",
        "sly": "sly raised Sly",
        "value": "there is no function value",
        "nothing": "there is no function nothing",
    }
    with student(code) as remote:
        remote.run_cells()
        for name, sentence in sentences.items():
            with pytest.raises(AnswerError) as caught:
                remote.call(name, (), {})
            assert str(caught.value) == sentence
        with pytest.raises(AnswerError) as caught:
            remote.call("broken", (), {})
        assert list(caught.value.kinds[:2]) == ["KeyError", "LookupError"]


@needs_bubblewrap
def test_cells_that_stop_the_sandbox_cost_only_themselves():
    cells = [
        "x = 1",
        "while True: pass",
        "x += 1",
        "import os; os._exit(1)",
        "1/0",
        "x += 1\ndef f(): return x",
    ]
    with student(*cells) as remote:
        ran = remote.run_cells()
        states = [ran[f"c{k}"].status for k in range(6)]
        assert states == ["ok", "timeout", "ok", "killed", "error", "ok"]
        assert ran["c1"].message == "the cell used more than 0.5 s of CPU time"
        assert remote.call("f", (), {}) == 3


@needs_bubblewrap
def test_calls_that_stop_the_sandbox_cost_only_themselves():
    code = """
        import os
        def loop(z):
            while z < 0: pass
            return z
        def right(): return 7
        """
    with student(code) as remote:
        remote.run_cells()
        for _ in range(STRIKES):
            with pytest.raises(AnswerError, match=r"loop used more than 0.5 s of CPU time"):
                remote.call("loop", (-1,), {})
            assert remote.call("right", (), {}) == 7
        before = remote.cpu
        with pytest.raises(AnswerError, match=f"loop was not called again: it was stopped {STRIKES} times"):
            remote.call("loop", (-1,), {})
        assert remote.cpu == before


@needs_bubblewrap
def test_added_cells_that_stop_the_sandbox_again_and_again_are_left_out():
    added = "# added\nimport os; os._exit(1)"
    with student("x = 1", added, added, added, "# added\ny = 2", "def f(): return x") as remote:
        ran = remote.run_cells()
        assert [ran[f"c{k}"].status for k in range(6)] == [
            "ok",
            "killed",
            "killed",
            "killed",
            "skipped",
            "ok",
        ]
        assert remote.call("f", (), {}) == 1


@needs_bubblewrap
def test_time_of_the_whole_submission_is_limited():
    cells = ["# added\nwhile True: pass"] * 2 + ["def f(): return 1"]
    with student(*cells, total=0.7) as remote:
        ran = remote.run_cells()
        assert ran["c2"].status == "skipped"
        assert "has used up its time" in ran["c2"].message
        with pytest.raises(AnswerError, match="f was not run: the submission has used up its time"):
            remote.call("f", (), {})


@needs_bubblewrap
def test_sleep_of_the_whole_submission_is_limited():
    nap = "import time; time.sleep(0.3)"
    with student(nap, nap, nap, nap, "def f(): return 1", slept=0.5) as remote:
        states = [ran.status for ran in remote.run_cells().values()]
        assert states in (
            ["ok", "ok", "skipped", "skipped", "skipped"],
            ["ok", "ok", "ok", "skipped", "skipped"],
        )


@needs_bubblewrap
def test_outputs_are_text_and_pictures_within_a_limit():
    cells = [
        "import matplotlib.pyplot as plt\nfigure = plt.plot([1, 2])",
        "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))\n3 + 4",
        "print('x' * 10**6)\nprint('y')",
        "print('z')",
        "%%bash\necho from the shell",
    ]
    with Sandbox("bubblewrap", ["numpy"], Limits()) as box:
        plot, shown, long, late, shell = (box.ask({"do": "cell", "code": code})["outputs"] for code in cells)
    assert base64.b64decode(plot[0]["data"]["image/png"]).startswith(b"\x89PNG")
    assert [list(output["data"]) for output in shown] == [["text/plain"]] * 2
    assert shown[1]["data"]["text/plain"] == "7"
    assert len(json.dumps(long)) < 200_500
    assert long[-1]["text"] == "[the rest of the output was cut]\n"
    assert "z" not in json.dumps(late[0])
    assert len(json.dumps(shell)) < 200


@needs_bubblewrap
def test_agent_runs_magics_and_shell_commands():
    with Sandbox("bubblewrap", ["numpy"], Limits()) as box:
        for code, said in {
            "%%bash\necho from the shell": "from the shell",
            "!echo here": "here",
            "%pwd": "student",
        }.items():
            assert said in json.dumps(box.ask({"do": "cell", "code": code})["outputs"])
        reply = box.ask({"do": "cell", "code": "import asyncio\nawait asyncio.sleep(0)\n'waited'"})
        assert "waited" in json.dumps(reply["outputs"])
