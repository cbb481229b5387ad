"""The transformer: causal, of the stated size, and equal to torch's own layers."""

import pytest
import torch
from torch import nn

from selfgated.models import Transformer
from selfgated.modules import GLU_VARIANTS


def build(seed=0, **options):
    options = {"dim": 24, "depth": 2, "heads": 3, "max_length": 16, **options}
    return Transformer(11, **options, generator=torch.Generator().manual_seed(seed))


def tokens(shape=(3, 12), seed=0):
    return torch.randint(0, 11, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("feed_forward", ["gelu", "relu", "silu", *GLU_VARIANTS])
def test_transformer_later_token_leaves_earlier_logits(feed_forward):
    model, x = build(feed_forward=feed_forward).double(), tokens()
    logits = model(x)
    for at in (0, 5, 11):
        changed = x.clone()
        changed[:, at] = (changed[:, at] + 1) % 11
        difference = (model(changed) - logits).abs().amax(dim=(0, 2))  # (T,)
        assert (difference[:at] == 0).all()
        assert (difference[at:] > 1e-6).all()


def test_transformer_gradient_reaches_no_later_token():
    model, x = build().double(), tokens((1, 12))
    h = model.tokens(x).detach().requires_grad_()
    hidden = h + model.positions.weight[:12]
    for block in model.blocks:
        hidden = block(hidden)
    hidden[0, 5].sum().backward()
    assert h.grad[0, 6:].abs().max() == 0
    assert (h.grad[0, :6].abs().sum(-1) > 0).all()


@pytest.mark.parametrize("variant", GLU_VARIANTS)
@pytest.mark.parametrize("dim", [24, 48, 64, 32])
def test_transformer_gated_has_weights_of_plain(variant, dim):
    def count(feed_forward):
        model = Transformer(11, dim=dim, depth=1, heads=2, max_length=4, feed_forward=feed_forward)
        return sum(p.numel() for p in model.blocks[0].feed_forward.parameters())

    plain, gated = count("gelu"), count(variant)
    assert plain == 8 * dim * dim
    if dim % 3 == 0:
        assert gated == plain
    else:
        assert plain < gated < plain + 3 * dim


def test_transformer_all_parameters_counted():
    model = build(depth=3)
    dim, vocab, length = 24, 11, 16
    block = 4 * dim * dim + 8 * dim * dim + 4 * dim
    assert sum(p.numel() for p in model.parameters()) == 3 * block + (2 * vocab + length) * dim + 2 * dim


def test_transformer_equals_torch_encoder_layer():
    model = build(feed_forward="gelu").double()
    x = tokens()
    h = model.tokens(x) + model.positions.weight[:12]
    mask = nn.Transformer.generate_square_subsequent_mask(12, dtype=torch.float64)
    for block in model.blocks:
        layer = nn.TransformerEncoderLayer(
            24, 3, 96, 0.0, "gelu", batch_first=True, norm_first=True, bias=False, dtype=torch.float64
        )
        layer.self_attn.in_proj_weight.data = block.attention.qkv.weight.data
        layer.self_attn.out_proj.weight.data = block.attention.out.weight.data
        layer.linear1.weight.data = block.feed_forward.inner.weight.data
        layer.linear2.weight.data = block.feed_forward.out.weight.data
        h = layer(h, src_mask=mask, is_causal=True)
    torch.testing.assert_close(model(x), model.head(model.norm(h)), rtol=1e-12, atol=1e-12)


def test_transformer_same_generator_same_weights():
    one, two, other = build(0), build(0), build(1)
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, two.state_dict()[name]), name
    assert not torch.equal(one.head.weight, other.head.weight)


@pytest.mark.parametrize("depth", [1, 4])
def test_transformer_stream_variance_at_start(depth):
    h = []
    model = build(dim=96, depth=depth, heads=4, max_length=64, feed_forward="gelu")
    model.norm.register_forward_pre_hook(lambda module, args: h.append(args[0]))
    model(tokens((16, 64)))
    assert 0.8 < h[0].var().item() < 2.5


def test_transformer_learns_to_copy_the_token_before():
    model = build(depth=1, dim=32, heads=4)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(60):
        x = tokens((32, 12), seed=step)
        loss = nn.functional.cross_entropy(model(x)[:, 1:].flatten(0, 1), x[:, :-1].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5  # chance: log 11 = 2.4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feed_forward": "gleu"}, r"unknown feed_forward 'gleu'; choose from \['glu', .*'gelu'"),
        ({"dim": 25}, "dim = 25 is not a multiple of heads = 3"),
        ({"depth": 0}, "depth must be a positive integer, not 0"),
        ({"max_length": 2.5}, "max_length must be a positive integer, not 2.5"),
    ],
)
def test_transformer_bad_option(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_transformer_sequence_too_long():
    with pytest.raises(ValueError, match="17 tokens is longer than max_length = 16"):
        build()(tokens((1, 17)))
