"""One training run: the model, its optimiser, and where it stands."""

from collections import deque
from itertools import zip_longest

import numpy as np
import torch
from torch import nn

from selfgated.train.batches import Resident, orders
from selfgated.train.devices import autocast, place
from selfgated.train.evaluation import cross_entropy, evaluate_resident
from selfgated.train.optimisers import OPTIMIZERS, Rows, schedule_factor
from selfgated.train.result import Result

__all__ = ["LOOK", "Run"]

RECENT = 20  # batches that train_loss is the mean of
LOOK = 50  # steps between two looks at a CUDA device, each of which waits for it


class Run:
    """One run: the model, its optimiser, and where it stands."""

    def __init__(self, model, data, settings, *, device, loss_fn, tag=None):
        """At step 0, with the model and the data on the device."""
        self.tag = dict(tag or {})
        self.model, self.settings, self.device, self.loss_fn = model, settings, device, loss_fn
        self.num_models = len(settings.seeds)
        first = next(model.parameters(), None)
        if first is None:
            raise ValueError("the model has no parameter that requires a gradient")
        memory_format = place(model, device)
        self.data = Resident(data, device=device, dtype=first.dtype, memory_format=memory_format)
        self.samples = len(self.data.x_train)
        if settings.batch_size > self.samples:
            raise ValueError(
                f"batch_size {settings.batch_size} is more than the {self.samples} training samples"
            )
        self.rows = Rows(model.named_parameters(), self.num_models)
        if loss_fn is None:
            _check_labels(self.data)
        self.optimizer = OPTIMIZERS[settings.optimizer](
            self.rows, momentum=settings.momentum, betas=settings.betas, weight_decay=self._decay()
        )
        self.factors = self._factors()  # (P,), or None if all are 1
        self.lr = torch.tensor(settings.lr, dtype=first.dtype, device=device).unsqueeze(1)  # (K, 1)
        self.matrices = _matrices(model, self.rows)
        self.step = 0
        self.diverged_at = torch.full((self.num_models,), -1, device=device)
        self.dead = None  # (K, 1), or None while a CPU can tell that none has diverged
        self.recent = deque(maxlen=RECENT)
        self.recorded = []  # (step, loss (K,), norms (L, K))
        self._epoch = None

    def _decay(self):
        """Weight decay: a number, or one for each column."""
        decay = self.settings.weight_decay
        spared = dict.fromkeys(self.settings.no_decay, 0.0)
        return self.rows.columns(spared, decay) if decay and spared else decay

    def _factors(self):
        """Factors of the learning rate, one for each column, or None."""
        known = {name.rpartition(".")[2] for name in self.rows.names}
        for name in self.settings.lr_factors:
            if name not in known:
                raise ValueError(f"lr_factors: no parameter {name!r}; choose from {sorted(known)}")
        return self.rows.columns(self.settings.lr_factors, 1.0) if self.settings.lr_factors else None

    def batch(self):
        """Inputs and targets of this step: whole batches of an order that is new in every epoch."""
        size = self.settings.batch_size
        epoch, position = divmod(self.step, self.samples // size)
        if epoch != self._epoch:
            order = orders(self.settings.seeds, epoch, samples=self.samples)
            self._order = order.to(self.device) if self.num_models > 1 else order[0].to(self.device)
            self._epoch = epoch
        return self.data.batch(self._order[..., position * size : (position + 1) * size])

    def losses(self, x, y):
        """Loss of each network, (K,) (or a scalar if K = 1)."""
        with autocast(self.device, self.settings.precision):
            output = self.model(x)
            if self.loss_fn is None:
                return cross_entropy(output, y, self.num_models)
            loss = self.loss_fn(output, y)
        if not torch.is_tensor(loss) or loss.numel() != self.num_models:
            found = tuple(loss.shape) if torch.is_tensor(loss) else type(loss).__name__
            raise ValueError(f"loss_fn must return a tensor of shape ({self.num_models},), not {found}")
        return loss

    def advance(self):
        """One step of every network that has not diverged."""
        settings = self.settings
        loss = self.losses(*self.batch())
        total = loss if loss.ndim == 0 else loss.sum()
        grads = torch.autograd.grad(total, self.rows.params, materialize_grads=True)
        with torch.no_grad():
            loss = loss.detach().reshape(-1)
            self._look(loss)
            grad = self.rows.gather(grads)  # (K, P)
            if settings.record_every and self.step % settings.record_every == 0:
                parts = grad.split(self.rows.sizes, dim=1)
                norms = [parts[i].norm(dim=1) for i in self.matrices]
                self.recorded.append((self.step, loss, torch.stack(norms)))
            if settings.clip is not None:
                grad *= (settings.clip / (grad.norm(dim=1, keepdim=True) + 1e-6)).clamp_(max=1.0)
            factor = schedule_factor(
                self.step, steps=settings.steps, schedule=settings.schedule, warmup=settings.warmup
            )
            update = self.optimizer.update(grad, self.step) * (self.lr * factor)
            if self.factors is not None:
                update *= self.factors
            if self.dead is not None:
                update.masked_fill_(self.dead, 0.0)
            self.rows.subtract(update)
        self.recent.append(loss)
        self.step += 1

    def _look(self, loss):
        """Note which networks diverge at this step."""
        finite = loss.isfinite()
        if self.device.type == "cpu" and finite.all():  # elsewhere the question would wait for the device
            return
        self.diverged_at = torch.where(finite | (self.diverged_at >= 0), self.diverged_at, self.step)
        self.dead = (self.diverged_at >= 0).unsqueeze(1)

    def hopeless(self):
        """Whether every network has diverged; asked now and then, for a CUDA device has to be waited for."""
        if self.dead is None or (self.device.type != "cpu" and self.step % LOOK):
            return False
        return bool(self.dead.all())

    def mean_loss(self):
        """Mean of the last losses of the networks that have not diverged."""
        return float(self.recent[-1][self.diverged_at < 0].mean())

    def state(self):
        """What a checkpoint holds."""
        return {
            "settings": self.settings.plain(),
            "tag": self.tag,
            "architecture": repr(self.model),
            "data": self.data.fingerprint(),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": [self.rows.scatter(part) for part in self.optimizer.state],
            "diverged_at": self.diverged_at,
            "recent": list(self.recent),
            "recorded": self.recorded,
            "random": _random_state(self.device),
        }

    def restore(self, content, path):
        """Go on from the content of a checkpoint; everything is checked before anything is changed."""
        here, there = self.settings.plain(), content["settings"]
        longer = here["schedule"] == "constant" and content["step"] <= here["steps"]
        for name in here:
            if here[name] != there.get(name) and not (name == "steps" and longer):
                raise ValueError(f"{path} was written with {name}={there.get(name)}, not {here[name]}")
        for name, value in self.tag.items():
            if name in content["tag"] and content["tag"][name] != value:
                raise ValueError(f"{path} was written with {name}={content['tag'][name]!r}, not {value!r}")
        difference = _difference(content, self.model)
        if difference:
            raise ValueError(f"{path} holds another model: {difference}")
        if content["data"] != self.data.fingerprint():
            raise ValueError(f"{path} was written with other training data")
        parts = [[part.to(self.device) for part in theirs] for theirs in content["optimizer"]]
        self.model.load_state_dict(content["model"])
        for mine, theirs in zip(self.optimizer.state, parts, strict=True):
            mine.copy_(self.rows.gather(theirs))
        self.step = content["step"]
        self.diverged_at = content["diverged_at"].to(self.device)
        self.dead = (self.diverged_at >= 0).unsqueeze(1)
        self.recent.extend(loss.to(self.device) for loss in content["recent"])
        self.recorded = [
            (step, loss.to(self.device), norms.to(self.device)) for step, loss, norms in content["recorded"]
        ]
        torch.set_rng_state(content["random"][0])
        if self.device.type == "cuda" and len(content["random"]) > 1:
            torch.cuda.set_rng_state(content["random"][1], self.device)

    def result(self, *, evaluate, interrupted):
        """Return the Result of what was done so far."""
        networks, layers = self.num_models, len(self.matrices)
        test = np.full((2, networks), np.nan)
        if evaluate:
            test = evaluate_resident(
                self.model, self.data, loss_fn=self.loss_fn, precision=self.settings.precision
            )
        broken = ~self.rows.values().isfinite().all(dim=1).cpu().numpy()
        if evaluate:
            broken |= ~np.isfinite(test[1])
        every = self.settings.record_every
        step = np.arange(0, self.step, every) if every else np.zeros(0, int)
        loss = np.full((len(step), networks), np.nan)
        norms = np.full((len(step), layers, networks), np.nan)
        for row, (_, losses, norm) in enumerate(self.recorded):
            loss[row], norms[row] = losses.double().cpu(), norm.double().cpu()
        recent = np.full(networks, np.nan)
        if self.recent:
            recent = torch.stack(list(self.recent)).double().mean(0).cpu().numpy()
        # A frozen network may have a finite loss again, on another batch: it is not a result.
        diverged_at = self.diverged_at.cpu().numpy()
        over = (diverged_at >= 0) & (step[:, None] >= diverged_at)
        loss[over], norms[over[:, None].repeat(layers, 1)] = np.nan, np.nan
        recent[diverged_at >= 0] = np.nan
        names = (self.rows.names[i].removesuffix(".weight") for i in self.matrices)
        return Result(
            steps=self.step,
            seeds=self.settings.seeds,
            layers=tuple(names),
            step=step,
            loss=loss,
            grad_norm=norms,
            train_loss=recent,
            test_accuracy=test[0],
            test_loss=test[1],
            diverged_at=np.where(broken & (diverged_at < 0), self.step, diverged_at),
            interrupted=interrupted,
        )


def _check_labels(data):
    """Refuse, for the default loss, what is no class."""
    for part, y in (("train", data.y_train), ("test", data.y_test)):
        if y.dtype != torch.int64:
            raise ValueError(f"y_{part} must hold classes as int64, not {y.dtype}; or give a loss_fn")
        if y.numel() and int(y.min()) < 0:
            raise ValueError(f"y_{part} must hold classes from 0 on, not {int(y.min())}")


def _matrices(model, rows):
    """Indices of the parameters that are weights of linear, convolution and recurrent layers."""
    tables = {f"{name}.weight" for name, layer in model.named_modules() if isinstance(layer, nn.Embedding)}
    # A stacked linear layer's bias is (K, out), its weight (K, out, in).
    dims = 2 if rows.num_models == 1 else 3
    return [
        i
        for i, (name, p) in enumerate(zip(rows.names, rows.params, strict=True))
        if p.ndim >= dims and name not in tables
    ]


def _random_state(device):
    state = [torch.get_rng_state()]
    return [*state, torch.cuda.get_rng_state(device)] if device.type == "cuda" else state


def _difference(content, model):
    """Say in what the model of a checkpoint differs from this one; None if in nothing that shows."""
    lines = zip_longest(content["architecture"].splitlines(), repr(model).splitlines(), fillvalue="nothing")
    for there, here in lines:
        if there != here:
            return f"{there.strip()} there, {here.strip()} here"
    state = model.state_dict()
    for name in sorted(state.keys() | content["model"].keys()):
        there, here = (tuple(s[name].shape) if name in s else "nothing" for s in (content["model"], state))
        if there != here:
            return f"{name} is {there} there, {here} here"
    return None
