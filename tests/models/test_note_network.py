import keras
import numpy as np
import pytest

from bytecover_tf.models.note_network import NoteNetwork

SMALL = {"filters": 3, "kernels": ((3, 3), (5, 1))}


def network(**arguments):
    model = NoteNetwork(**{**SMALL, **arguments})
    model.build((None, 252, None, 1))
    return model


def targets(heard, has_notes, has_melody):
    flags = {"has_notes": has_notes, "has_melody": has_melody}
    return {"heard": heard, **{key: np.array(value) for key, value in flags.items()}}


def plain_loss(heard, has_notes, has_melody, logits, melody_weight):
    """The three cross-entropies, value by value."""
    batch, semitones, frames, _ = logits.shape
    sums = np.zeros(3)
    for b in range(batch):
        for channel in range(3):
            if not (has_melody if channel == 2 else has_notes)[b]:
                continue
            for s in range(semitones):
                for t in range(frames):
                    p = 1 / (1 + np.exp(-float(logits[b, s, t, channel])))
                    y = float(heard[b, s, t, channel])
                    sums[channel] -= y * np.log(p) + (1 - y) * np.log(1 - p)
    notes, onsets, melody = sums / (batch * semitones * frames)
    return notes, onsets, melody, notes + onsets + melody_weight * melody


@pytest.mark.parametrize(
    "has_melody", [[True, False, True, False], [False] * 4, [True] * 4]
)
@pytest.mark.parametrize(
    "has_notes", [[True, True, False, False], [False] * 4, [True] * 4]
)
@pytest.mark.parametrize("melody_weight", [3.0, 0.5])
def test_loss_equals_a_plain_loop(has_notes, has_melody, melody_weight, rng):
    model = network(melody_weight=melody_weight)
    logits = rng.normal(0, 3, (4, 6, 5, 3)).astype(np.float32)
    heard = rng.random(logits.shape).astype(np.float32)
    y = targets(heard, has_notes, has_melody)
    found = float(model.compute_loss(y=y, y_pred=logits))
    *parts, total = plain_loss(heard, has_notes, has_melody, logits, melody_weight)
    assert found == pytest.approx(total, rel=1e-5)
    shown = {metric.name: float(metric.result()) for metric in model.metrics}
    expected = dict(zip(("notes", "onsets", "melody"), parts, strict=True))
    assert shown == pytest.approx({"loss": total, **expected}, rel=1e-5)


def test_what_is_shown_is_the_mean_over_batches(rng):
    model = network()
    losses = []
    for _ in range(3):
        logits = rng.normal(size=(2, 6, 5, 3)).astype(np.float32)
        y = targets(np.zeros_like(logits), [True, True], [True, False])
        losses.append(float(model.compute_loss(y=y, y_pred=logits)))
    assert float(model.metrics[0].result()) == pytest.approx(np.mean(losses), rel=1e-5)
    for metric in model.metrics:
        metric.reset_state()
    assert float(model.metrics[0].result()) == 0


@pytest.mark.parametrize("frames", [2, 14])
def test_shapes(frames, rng):
    model = network()
    inputs = rng.random((2, 252, frames, 1)).astype(np.float32)
    output = model(inputs)
    assert output.shape == (2, 84, frames // 2, 3)
    assert output.shape == model.compute_output_shape(inputs.shape)
    assert model.compute_output_shape((None, 252, None, 1)) == (None, 84, None, 3)


def test_config_round_trip(rng):
    model = network(melody_weight=1.5, name="hears")
    config = model.get_config()
    copy = NoteNetwork.from_config(config)
    assert copy.get_config() == config
    assert (copy.filters, copy.kernels) == (3, SMALL["kernels"])
    assert (copy.melody_weight, copy.name) == (1.5, "hears")
    copy.build((None, 252, None, 1))
    copy.set_weights(model.get_weights())
    inputs = rng.random((1, 252, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(copy(inputs)), np.asarray(model(inputs)))


@pytest.mark.parametrize("shape", [(1, 252, 8), (1, 252, 8, 2), (1, 250, 8, 1)])
def test_wrong_input_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"Received: input_shape"):
        NoteNetwork(**SMALL).build(shape)


def test_no_filters_are_refused():
    with pytest.raises(ValueError, match="filters=0"):
        NoteNetwork(0)


def test_music_a_semitone_higher_is_heard_a_semitone_higher(rng):
    model = network(kernels=((3, 3),))
    inputs = np.zeros((1, 252, 12, 1), np.float32)
    inputs[:, 110:150] = rng.random((1, 40, 12, 1))
    low = np.asarray(model(inputs))
    raised = np.asarray(model(np.roll(inputs, 6, axis=1)))
    assert np.ptp(low) > 1e-3
    np.testing.assert_allclose(raised[:, 12:72], low[:, 10:70], atol=1e-5)


def test_frames_follow_the_input(rng):
    """An impulse is heard where it is: two frames make one."""
    model = network(kernels=((3, 3),))
    silence = np.zeros((1, 252, 40, 1), np.float32)
    base = np.asarray(model(silence))
    for frame in (10, 11, 25):
        inputs = silence.copy()
        inputs[0, 120, frame] = 50
        changed = np.abs(np.asarray(model(inputs)) - base).max(axis=(0, 1, 3))
        places = np.flatnonzero(changed > 1e-6)
        assert abs(places.mean() - frame / 2) <= 1
        assert np.ptp(places) <= 6


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="uses its tape")
def test_unlabelled_melodies_teach_nothing(rng):
    import tensorflow as tf

    model = network()
    inputs = rng.random((2, 252, 4, 1)).astype(np.float32)
    heard = rng.random((2, 84, 2, 3)).astype(np.float32)
    other = heard.copy()
    other[1, ..., 2] = rng.random((84, 2))

    def gradients(heard, has_melody):
        with tf.GradientTape() as tape:
            y = targets(heard, [True, True], has_melody)
            loss = model.compute_loss(y=y, y_pred=model(inputs, training=True))
        return [np.asarray(g) for g in tape.gradient(loss, model.trainable_variables)]

    pairs = zip(
        gradients(heard, [True, False]), gradients(other, [True, False]), strict=True
    )
    assert all(np.allclose(a, b, atol=1e-7) for a, b in pairs)
    labelled = gradients(other, [True, True])
    assert all(np.abs(g).max() > 0 for g in labelled)
    assert not np.allclose(labelled[-2], gradients(heard, [True, True])[-2], atol=1e-5)
