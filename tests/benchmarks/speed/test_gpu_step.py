import keras
import pytest

from benchmarks.speed import gpu_step


@pytest.fixture(autouse=True)
def without_xla(monkeypatch):
    """Spare networks of some steps the time that XLA takes to compile them."""
    make_model = gpu_step.make_model

    def made(*arguments):
        model = make_model(*arguments)
        model.jit_compile = False
        return model

    monkeypatch.setattr(gpu_step, "make_model", made)


def test_operations_are_those_of_the_convolutions():
    model = keras.Sequential(
        [
            keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(2, 1),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(5),
        ]
    )
    each = 2 * 42 * 10
    assert gpu_step.convolution_flops(model, 20) == each * (9 * 4 + 4 * 2)


def test_peaks_are_read_by_their_names():
    assert gpu_step.read_peaks(["float32=67", "mixed_bfloat16=989.4"]) == {
        "float32": 67.0,
        "mixed_bfloat16": 989.4,
    }
    for wrong in ("float64=1", "float32", "float32=fast"):
        with pytest.raises(ValueError, match="float"):
            gpu_step.read_peaks([wrong])


@pytest.mark.parametrize("wrong", [[], ["--small", "--peak", "gold=1"]])
def test_without_a_gpu_or_with_odd_peaks_it_says_so(wrong, monkeypatch, capsys):
    monkeypatch.setattr(gpu_step, "gpu_name", lambda: None)
    with pytest.raises(SystemExit):
        gpu_step.main(wrong)
    error = capsys.readouterr().err
    assert "no GPU" in error or "'gold=1' names no precision" in error


def test_it_is_rehearsed_without_a_gpu(monkeypatch, capsys):
    monkeypatch.setattr(gpu_step, "gpu_name", lambda: None)
    monkeypatch.setattr(gpu_step, "PRECISIONS", gpu_step.PRECISIONS[2:3])
    arguments = ["--small", "--batches", "8", "--steps", "2", "--frames", "20"]
    gpu_step.main([*arguments, "--peak", "mixed_bfloat16=1"])
    last = capsys.readouterr().out.splitlines()[-1]
    name, batch, speed, _, share = (cell.strip() for cell in last.split("|")[1:-1])
    assert (name, batch) == ("mixed_bfloat16", "8")
    assert float(speed.replace(",", "")) > 0
    assert share.endswith("%")


def test_what_is_measured_is_training():
    model = gpu_step.make_model("float32", (1, 1, 1, 1), 4)
    before = [weight.numpy() for weight in model.trainable_weights]
    assert gpu_step.recordings_per_second(model, gpu_step.Batch(8, 20), 3) > 0
    assert int(model.optimizer.iterations) == gpu_step.EPOCHS * 3
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert (weight.numpy() != old).any()
