"""Checkpoints: resumed runs equal uninterrupted ones bit for bit, and a kill at any moment costs nothing older."""

import json
import logging
import os
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from turnwise.agents.errors import CheckpointError, InvalidInput
from turnwise.agents.learner import (
    Checkpoints,
    ForwardOptions,
    Learner,
    LearnerConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainBatch,
)
from turnwise.agents.losses import Objective

CONFIG = LearnerConfig(
    ForwardOptions(max_tokens=25),
    OptimizerConfig(1e-2, weight_decay=0.1, schedule=ScheduleConfig("cosine", warmup_steps=2, total_steps=8)),
)


def make_learner(make_model, kind="qwen3", seed=0):
    return Learner(make_model(kind, seed=seed, dtype=torch.float32), CONFIG)


def train(learner, sequences, steps, rng):
    """Steps whose advantages use every kind of random state; returns their metrics."""
    history = []
    for _ in range(steps):
        noise = random.random() + np.random.rand() + torch.rand(()).item()
        advantages = [rng.normal(size=2) + noise for _ in range(3)]
        batch = TrainBatch.from_turns(sequences, advantages)
        history += learner.update(batch, Objective(), minibatches=2, rng=rng)
    return history


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@pytest.mark.parametrize("kind", ["qwen3", "llama"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(kind, tmp_path, make_model, make_sequences):
    sequences = make_sequences()
    straight = make_learner(make_model, kind)
    seed_everything(1)
    history = train(straight, sequences, 5, np.random.default_rng(2))

    first, rng = make_learner(make_model, kind), np.random.default_rng(2)
    seed_everything(1)
    train(first, sequences, 2, rng)
    Checkpoints(tmp_path).save(2, first, generators={"deal": rng})

    resumed, other = make_learner(make_model, kind, seed=9), np.random.default_rng(77)
    seed_everything(5)
    restored = Checkpoints(tmp_path).load(resumed, generators={"deal": other})
    assert restored.step == 2
    assert train(resumed, sequences, 3, other) == history[4:]
    for a, b in zip(straight.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_weights_are_loaded_in_place(tmp_path, make_model):
    Checkpoints(tmp_path).save(1, make_learner(make_model, seed=1))
    learner = make_learner(make_model, seed=2)
    places = [parameter.data_ptr() for parameter in learner.model.parameters()]
    Checkpoints(tmp_path).load(learner)
    assert [parameter.data_ptr() for parameter in learner.model.parameters()] == places
    expected = make_model(seed=1, dtype=torch.float32).parameters()
    assert all(torch.equal(a, b) for a, b in zip(learner.model.parameters(), expected, strict=True))


def test_the_trainers_state_comes_back_as_it_was(tmp_path, make_model):
    state = {"curriculum": [1, 2.5, None, True], "logs": {"metrics.jsonl": 1234}, "table": torch.arange(3.0), "t": (1,)}
    checkpoints = Checkpoints(tmp_path / "deep" / "folder")
    checkpoints.save(7, make_learner(make_model), state=state)
    loaded = checkpoints.peek()
    assert torch.equal(loaded.state.pop("table"), state.pop("table"))
    assert loaded.state == state
    assert loaded.step == 7


@pytest.mark.parametrize(
    ("state", "where"),
    [
        ({"a": [1, {"b": np.float64(1.0)}]}, r"state\['a'\]\[1\]\['b'\] is a float64"),
        ({"a": np.zeros(2)}, "is a ndarray"),
        ({"a": {1: 2}}, "is a dict"),
        ({"a": object()}, "is a object"),
    ],
)
def test_state_that_could_not_be_loaded_safely_is_refused_before_anything_is_written(
    state, where, tmp_path, make_model
):
    with pytest.raises(InvalidInput, match=where):
        Checkpoints(tmp_path / "run").save(1, make_learner(make_model), state=state)
    assert not (tmp_path / "run").exists()


def test_the_model_folder_loads_with_from_pretrained(tmp_path, make_model):
    learner = make_learner(make_model)
    path = Checkpoints(tmp_path).save(1, learner, tokenizer=_Tokenizer())
    loaded = AutoModelForCausalLM.from_pretrained(path / "model", dtype=torch.float32)
    assert torch.equal(loaded.lm_head.weight, learner.model.lm_head.weight)
    assert (path / "model" / "tokenizer.json").read_text() == "{}"


class _Tokenizer:
    def save_pretrained(self, folder):
        (Path(folder) / "tokenizer.json").write_text("{}")


def test_only_the_newest_are_kept(tmp_path, make_model):
    learner, checkpoints = make_learner(make_model), Checkpoints(tmp_path, keep=2)
    for step in (10, 20, 5, 5):  # the run was set back to step 5 and saved it twice
        checkpoints.save(step, learner)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000003-step5", "000004-step5", "latest"]
    assert checkpoints.latest() == tmp_path / "000004-step5"


def test_an_older_checkpoint_can_be_chosen(tmp_path, make_model):
    checkpoints = Checkpoints(tmp_path)
    older = checkpoints.save(1, make_learner(make_model, seed=1), state={"n": 1})
    checkpoints.save(2, make_learner(make_model, seed=2), state={"n": 2})
    learner = make_learner(make_model)
    assert checkpoints.load(learner, path=older).state == {"n": 1}
    expected = make_model(seed=1, dtype=torch.float32)
    assert torch.equal(learner.model.lm_head.weight, expected.lm_head.weight)


def test_a_failing_save_leaves_the_previous_one(tmp_path, make_model, monkeypatch):
    learner, checkpoints = make_learner(make_model), Checkpoints(tmp_path)
    first = checkpoints.save(1, learner)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(2, learner)
    assert checkpoints.latest() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == [first.name, "latest"]


# Children of one process (importing torch takes longer than the test): one for each file operation of a save, killed
# at it with SIGKILL, until a save gets through; then one that saves again and again until it is killed from outside.
KILLED = """
    import os, signal, sys
    from pathlib import Path
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM
    from turnwise.agents.learner import Checkpoints, Learner

    torch.set_num_threads(1)
    config = Qwen3Config(vocab_size=11, hidden_size=8, intermediate_size=8, num_hidden_layers=1, head_dim=4,
                         num_attention_heads=2, num_key_value_heads=2, max_window_layers=1)
    learner = Learner(Qwen3ForCausalLM(config))
    checkpoints = Checkpoints(Path(sys.argv[1]), keep=1)
    left = 0

    def deadly(act):
        def wrapper(*args, **options):
            global left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return act(*args, **options)
        return wrapper

    def killed_at(moment):
        global left
        child = os.fork()
        if child == 0:
            left = moment
            for name in ("fsync", "rename", "replace", "unlink", "rmdir", "mkdir"):
                setattr(os, name, deadly(getattr(os, name)))
            checkpoints.save(2, learner, state={"step": 2})
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL or os.WEXITSTATUS(status) == 0, status
        return os.WIFSIGNALED(status)

    def killed_while_saving():
        inward, outward = os.pipe()
        child = os.fork()
        if child == 0:
            step = 2
            while True:
                step += 1
                checkpoints.save(step, learner, state={"step": step})
                os.write(outward, bytes([step]))
        announced = [os.read(inward, 1)[0] for _ in range(5)]
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.set_blocking(inward, False)
        try:
            announced += os.read(inward, 100)
        except BlockingIOError:
            pass
        return announced[-1]

    checkpoints.save(1, learner, state={"step": 1})
    survived, moment, running = [], 0, True
    while running:
        moment += 1
        running = killed_at(moment)
        restored = checkpoints.load(learner)
        assert restored.state == {"step": restored.step}, restored
        survived.append(restored.step)
    assert moment > 20, moment
    assert set(survived) == {1, 2}, survived
    assert survived == sorted(survived), survived
    assert not [path.name for path in checkpoints.directory.iterdir() if path.name.startswith(".")]

    last = killed_while_saving()
    restored = checkpoints.load(learner)
    assert restored.state == {"step": restored.step}, restored
    assert restored.step in (last, last + 1), (restored, last)
    print("survived", moment - 1, "kills")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_at_any_moment_of_a_save_leaves_a_checkpoint_that_loads(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(KILLED), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("survived")


def damaged(tmp_path, make_model, damage):
    checkpoints = Checkpoints(tmp_path)
    damage(checkpoints.save(1, make_learner(make_model)))
    return checkpoints


def edit_manifest(**changes):
    def edit(path):
        manifest = json.loads((path / "manifest.json").read_text())
        (path / "manifest.json").write_text(json.dumps(manifest | changes))

    return edit


def flip(name, keep_size=True):
    def act(path):
        data = bytearray((path / name).read_bytes())
        (path / name).write_bytes(bytes(len(data)) if keep_size else data[:-5])

    return act


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (edit_manifest(format=99), r"has format 99, this version reads 1: resume with the version of turnwise"),
        (lambda path: (path / "manifest.json").unlink(), "is not a checkpoint: its manifest.json cannot be read"),
        (lambda path: (path / "optimizer.pt").unlink(), r"optimizer\.pt is damaged: \d+ bytes were saved, it is miss"),
        (flip("model/model.safetensors", keep_size=False), "is damaged: .* delete the checkpoint and name another"),
        (flip("state.pt"), r"state\.pt cannot be read .* delete the checkpoint"),
        (flip("model/model.safetensors"), "does not load as Qwen3ForCausalLM"),
    ],
)
def test_damaged_checkpoints_name_the_file_and_the_remedy(damage, message, tmp_path, make_model):
    checkpoints = damaged(tmp_path, make_model, damage)
    with pytest.raises(CheckpointError, match=message):
        checkpoints.load(make_learner(make_model))


def test_a_pointer_to_nowhere_names_the_checkpoints_that_there_are(tmp_path, make_model):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, make_learner(make_model))
    (tmp_path / "latest").write_text("000009-step9\n")
    with pytest.raises(CheckpointError, match=r"names '000009-step9', which is not there; .*there are: 000001-step1"):
        checkpoints.latest()


def test_nothing_saved_means_no_latest_and_a_clear_refusal(tmp_path, make_model):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest() is None
    with pytest.raises(CheckpointError, match=r"there is no checkpoint in .*: start a new run"):
        checkpoints.load(make_learner(make_model))


def test_a_model_of_another_shape_is_refused_and_left_alone(tmp_path, make_model):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, make_learner(make_model))
    other = Learner(make_model(hidden_size=32, dtype=torch.float32))
    before = other.model.lm_head.weight.clone()
    with pytest.raises(CheckpointError, match=r"holds another model: \d+ weights .* resume with the model that saved"):
        checkpoints.load(other)
    assert torch.equal(other.model.lm_head.weight, before)


def test_an_optimizer_of_other_parameters_is_refused(tmp_path, make_model):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, make_learner(make_model))
    frozen = make_model(dtype=torch.float32)
    frozen.base_model.norm.requires_grad_(False)
    with pytest.raises(CheckpointError, match="does not fit the model's trainable parameters"):
        checkpoints.load(Learner(frozen))


def test_other_versions_are_told(tmp_path, make_model, caplog):
    versions = json.loads((Checkpoints(tmp_path).save(1, make_learner(make_model)) / "manifest.json").read_text())
    edit_manifest(versions=versions["versions"] | {"torch": "1.0"})(Checkpoints(tmp_path).latest())
    with caplog.at_level(logging.WARNING):
        Checkpoints(tmp_path).peek()
    assert "saved with other versions of torch: the run continues, but not bit for bit" in caplog.text


def test_code_in_a_checkpoint_is_not_run(tmp_path, make_model):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    path = Checkpoints(tmp_path).save(1, make_learner(make_model))
    torch.save({"state": Evil()}, path / "state.pt")
    edit_manifest(files={})(path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        Checkpoints(tmp_path).peek()
    assert not (tmp_path / "ran").exists()


def test_at_least_one_checkpoint_is_kept(tmp_path):
    with pytest.raises(InvalidInput, match="keep is 0"):
        Checkpoints(tmp_path, keep=0)
