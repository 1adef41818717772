import keras
import numpy as np
import pytest

from bytecover_tf.losses import (
    batch_hard_triplet,
    distillation,
    supervised_contrastive,
    window_similarities,
)
from bytecover_tf.losses.contrastive import contrastive
from bytecover_tf.models.architecture import Architecture
from bytecover_tf.models.bytecover import ByteCover
from bytecover_tf.models.learner import Learner
from bytecover_tf.models.objective import Objective
from bytecover_tf.settings import take


def built(num_works=5, dtype="float32", teacher=None, **settings):
    """A small network and what trains it, by settings of both."""
    settings = {"blocks": (1, 1, 1, 1), "width": 4, **settings}
    network = ByteCover(take(Architecture, settings), dtype=dtype)
    model = Learner(network, take(Objective, settings), num_works, teacher)
    model.build((None, 84, None, 1))
    return model


@pytest.fixture
def batch(rng):
    return rng.random((8, 84, 20, 1)).astype(np.float32), np.repeat(np.arange(4), 2)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("margin", [None, 0.3])
def test_loss_is_the_sum_of_both(batch, margin, smoothing):
    model = built(margin=margin, label_smoothing=smoothing)
    features, works = batch
    output = model(features, training=True)
    logits = np.asarray(output["f_c"]) @ model.classifier.get_weights()[0]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = np.full((8, 5), smoothing / 5) + (1 - smoothing) * np.eye(5)[works]
    classification = -(targets * log_p).sum(axis=1).mean()
    triplet = 0 if margin is None else float(batch_hard_triplet(output["f_t"], works))
    loss = model.compute_loss(y=works, y_pred=output)
    assert float(loss) == pytest.approx(classification + triplet, rel=1e-4)
    results = model.get_metrics_result()
    assert float(results["classification"]) == pytest.approx(classification, rel=1e-4)
    assert float(results["triplet"]) == pytest.approx(triplet, rel=1e-4)
    hits = (logits.argmax(axis=1) == works).mean()
    assert float(results["accuracy"]) == pytest.approx(hits)


def test_triplet_loss_can_be_switched_off_and_on(batch):
    model = built()
    output = model(batch[0], training=True)
    both = float(model.compute_loss(y=batch[1], y_pred=output))
    model.triplet_weight.assign(0.0)
    one = float(model.compute_loss(y=batch[1], y_pred=output))
    triplet = float(batch_hard_triplet(output["f_t"], batch[1]))
    assert both - one == pytest.approx(triplet, rel=1e-4)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_step_moves_every_part_and_training_lowers_the_loss(batch, precision):
    model = built(dtype=precision)
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    if precision == "mixed_float16":
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    before = {w.path: keras.ops.convert_to_numpy(w).copy() for w in model.variables}
    first = model.train_on_batch(*batch, return_dict=True)
    # The first steps in float16 may be skipped, until the loss scale has fallen.
    for _ in range(15):
        last = model.train_on_batch(*batch, return_dict=True)
    for weight in model.variables:
        if weight is not model.triplet_weight:
            assert not np.array_equal(weight.numpy(), before[weight.path]), weight.path
    assert set(last) == {"loss", "classification", "triplet", "accuracy"}
    assert last["loss"] < first["loss"]


def test_statistics_can_be_kept(batch):
    model = built(keep_statistics=True)
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    statistics = {w.path: w.numpy() for w in model.variables if "moving" in w.path}
    trained = {w.path: w.numpy() for w in model.network.trainable_weights}
    assert statistics
    model.train_on_batch(*batch)
    for weight in model.variables:
        if weight.path in statistics:
            np.testing.assert_array_equal(weight.numpy(), statistics[weight.path])
        elif weight.path in trained:
            assert not np.array_equal(weight.numpy(), trained[weight.path])
    in_training = model(batch[0], training=True)["f_c"]
    np.testing.assert_allclose(in_training, model(batch[0])["f_c"], atol=1e-6)


def test_step_is_the_optimisers_update_of_the_summed_loss(batch):
    """`train_step` against the same step written out."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("uses TensorFlow's tape")
    import tensorflow as tf

    model, copy = built(), built()
    copy.set_weights(model.get_weights())
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    model.train_on_batch(*batch)
    with tf.GradientTape() as tape:
        output = copy(batch[0], training=True)
        logits = copy.classifier(output["f_c"])
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(batch[1], logits)
        ) + batch_hard_triplet(output["f_t"], batch[1])
    gradients = tape.gradient(loss, copy.trainable_weights)
    for ours, theirs, gradient in zip(
        model.trainable_weights, copy.trainable_weights, gradients, strict=True
    ):
        np.testing.assert_allclose(ours, theirs - 0.1 * gradient, atol=2e-4)


@pytest.mark.parametrize("settings", [{}, {"embedding_dim": 16, "bnneck": False}])
def test_a_saved_learner_embeds_identically(tmp_path, batch, settings):
    model = built(label_smoothing=0.1, **settings)
    model.compile(keras.optimizers.Adam(), jit_compile=False)
    model.train_on_batch(*batch)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.network.architecture == model.network.architecture
    assert copy.objective == model.objective
    assert copy.num_works == model.num_works == 5
    x = batch[0][:3, :, :13]
    np.testing.assert_array_equal(
        copy.predict_on_batch(x)["f_c"], model.predict_on_batch(x)["f_c"]
    )
    assert int(copy.optimizer.iterations) == 1


def test_without_works_there_is_nothing_to_classify(batch):
    model = built(num_works=None)
    assert model.classifier is None
    with pytest.raises(ValueError, match="num_works=None"):
        model.compute_loss(y=batch[1], y_pred=model(batch[0]))


@pytest.fixture
def scored(rng):
    return {
        "features": rng.random((8, 84, 20, 1)).astype(np.float32),
        "score": (rng.random((8, 84, 20, 2)) < 0.1).astype(np.float32),
        "given": np.arange(8) % 2 == 0,
    }


def test_the_backbone_reads_the_score_where_it_is_given(scored):
    model = built(salience=3, input_power=0.5)
    output = model(scored)
    assert output["heard"].shape == (8, 84, 20, 2)
    heard = np.asarray(model.network.salience(np.sqrt(scored["features"])))
    np.testing.assert_allclose(
        1 / (1 + np.exp(-np.asarray(output["heard"]))), heard, rtol=1e-4
    )
    read = np.where(scored["given"][:, None, None, None], scored["score"], heard)
    f_t = model.network.pool(model.network.backbone(read))
    np.testing.assert_allclose(output["f_t"], f_t, rtol=1e-3, atol=1e-5)
    # Without a score it reads what it hears.
    alone = model(scored["features"])
    assert set(alone) == {"f_t", "f_c"}
    np.testing.assert_allclose(alone["f_c"][1::2], output["f_c"][1::2], atol=1e-5)
    assert not np.allclose(alone["f_c"][::2], output["f_c"][::2], atol=1e-3)


def test_hearing_is_the_cross_entropy_of_each_frame(scored):
    model = built(salience=3, temperature=0.1)
    works = np.repeat(np.arange(4), 2)
    output = model(scored)
    loss = model.compute_loss(x=scored, y=works, y_pred=output)
    p = 1 / (1 + np.exp(-np.asarray(output["heard"], np.float64)))
    y = scored["score"]
    hearing = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum(axis=(1, 3)).mean()
    contrastive = float(supervised_contrastive(output["f_c"], works, 0.1))
    results = {k: float(v) for k, v in model.get_metrics_result().items()}
    assert results.keys() == {"loss", "contrastive", "hearing"}
    assert results["hearing"] == pytest.approx(hearing, rel=1e-4)
    assert results["contrastive"] == pytest.approx(contrastive, rel=1e-4)
    assert float(loss) == pytest.approx(hearing + contrastive, rel=1e-4)


def test_a_step_with_scores_teaches_both_parts(scored):
    model = built(num_works=None, salience=8, temperature=0.1)
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    before = [w.numpy() for w in model.trainable_weights]
    works = np.repeat(np.arange(4), 2)
    first = model.train_step((scored, works))
    for old, new in zip(before, model.trainable_weights, strict=True):
        assert not np.array_equal(old, new), new.path
    for _ in range(20):
        last = model.train_step((scored, works))
    assert float(last["loss"]) < float(first["loss"])


@pytest.mark.parametrize("reads", ["features", "scores", "notes"])
def test_crops_are_compared_by_their_windows_as_well(scored, reads):
    model = built(None, salience=3, temperature=0.1, windows=3, keep_statistics=True)
    inputs = {
        "features": scored["features"],
        "scores": {**scored, "given": np.ones(8, bool)},
        "notes": {"notes": scored["score"]},
    }[reads]
    frames = scored["score"].shape[2] // 3
    works = np.repeat(np.arange(4), 2)
    assert "windows" not in model(inputs)
    output = model(inputs, training=True)
    for number in range(3):
        part = slice(number * frames, (number + 1) * frames)
        alone = (
            model.network(scored["features"][:, :, part])
            if reads == "features"
            else model.network.embed_notes(scored["score"][:, :, part])
        )["f_c"]
        found = output["windows"][:, number]
        np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-5)
    model.reset_metrics()
    given = inputs if reads == "scores" else None
    loss = float(model.compute_loss(x=given, y=works, y_pred=output))
    similarities = window_similarities(output["windows"], works)
    results = {name: float(one) for name, one in model.get_metrics_result().items()}
    assert results["windows"] == pytest.approx(
        float(contrastive(similarities, works, 0.1)), rel=1e-4
    )
    assert loss == pytest.approx(sum(results.values()) - results["loss"], rel=1e-4)


@pytest.fixture
def teacher(rng):
    model = ByteCover(
        Architecture(blocks=(1, 1, 1, 1), width=2, salience=3, pitch_classes=True)
    )
    model.build((None, 84, None, 1))
    for variable in model.variables:
        variable.assign(np.asarray(variable) + 0.1 * rng.random(variable.shape))
    return model


def test_a_model_learns_from_a_teacher(teacher, scored, tmp_path):
    works = np.repeat(np.arange(4), 2)
    model = built(None, registers=2, pitch_classes=True, temperature=0.1,
                  embedding_dim=64, teacher=teacher)  # fmt: skip
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    output = model(scored)
    assert set(output) == {"f_t", "f_c"}
    with pytest.raises(ValueError, match="batches with scores"):
        model.compute_loss(x=scored["features"], y=works, y_pred=output)
    # As the teacher embeds recordings whose score it is given.
    read = Learner(teacher)({**scored, "given": np.ones(8, bool)})["f_c"]
    expected = float(distillation(output["f_c"], read, works))
    contrastive = float(supervised_contrastive(output["f_c"], works, 0.1))
    model.reset_metrics()
    loss = float(model.compute_loss(x=scored, y=works, y_pred=output))
    assert loss == pytest.approx(expected + contrastive, rel=1e-4)
    results = model.get_metrics_result()
    assert float(results["distillation"]) == pytest.approx(expected, rel=1e-4)

    kept = [np.asarray(variable).copy() for variable in teacher.variables]
    first = float(model.train_step((scored, works))["loss"])
    model.reset_metrics()
    for _ in range(20):
        last = float(model.train_step((scored, works))["loss"])
    assert last < first
    for old, variable in zip(kept, teacher.variables, strict=True):
        np.testing.assert_array_equal(old, variable)
    # The teacher is neither trained nor saved along.
    parts = ("backbone", "pool", "projection", "neck")
    for variable in model.trainable_variables:
        assert any(f"{part}/" in variable.path for part in parts)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert len(copy.variables) < len(model.variables) + len(teacher.variables)
    np.testing.assert_array_equal(copy(scored)["f_c"], model(scored)["f_c"])


def test_a_teacher_of_another_size_is_refused(teacher):
    with pytest.raises(ValueError, match="64 values, the network in 128"):
        built(None, temperature=0.1, teacher=teacher)


def test_crops_are_embedded_where_their_targets_are(batch, rng):
    features, works = batch
    targets = rng.normal(size=(8, 128)).astype(np.float32)
    model = built(None, salience=3, temperature=0.1, teaching="wholes")
    model.compile(keras.optimizers.Adam(1e-2), jit_compile=False)
    inputs = {"features": features, "target": targets}
    output = model(inputs, training=True)
    loss = float(model.compute_loss(x=inputs, y=works, y_pred=output))
    expected = float(distillation(output["f_c"], targets, works))
    assert loss == pytest.approx(expected, rel=1e-5)
    hearing = [np.asarray(weight).copy() for weight in model.network.salience.weights]
    for _ in range(20):
        results = model.train_on_batch(inputs, works, return_dict=True)
    assert set(results) == {"loss", "distillation"}
    assert float(results["loss"]) < loss
    # Nothing told the layer that hears which notes sound.
    for before, weight in zip(hearing, model.network.salience.weights, strict=True):
        np.testing.assert_array_equal(before, weight)


def test_distances_of_a_teacher_are_compared_pair_by_pair(rng):
    small, large = (
        ByteCover(
            Architecture(network="move", width=4, embedding_dim=dim, bnneck=False)
        )
        for dim in (8, 64)
    )
    for model in (small, large):
        model.build((None, 84, None, 1))
    objective = Objective(classification=False, margin=1.0, teaching="distances")
    learner = Learner(small, objective, num_works=2, teacher=large)
    features = rng.random((6, 84, 12, 1)).astype(np.float32)
    # As if trained: a space of the size that training makes.
    large.backbone.standardise.momentum = 0.0
    large(features, training=True)
    output = learner(features, training=True)
    loss = learner.compute_loss(
        x=features, y=np.array([0, 0, 0, 1, 1, 1]), y_pred=output
    )
    ours, theirs = np.asarray(output["f_t"]), np.asarray(large(features)["f_t"])
    expected = np.mean(
        [
            abs(np.sum((ours[a] - ours[b]) ** 2) - np.sum((theirs[a] - theirs[b]) ** 2))
            for a in range(6)
            for b in range(6)
            if a != b
        ]
    )
    assert expected > 0.05
    figures = {name: float(one.result()) for name, one in learner.trackers.items()}
    assert figures["distillation"] == pytest.approx(expected, rel=1e-3)
    assert float(loss) == pytest.approx(
        figures["distillation"] + figures["triplet"], rel=1e-4
    )
    assert not any("64" in str(weight.shape) for weight in learner.trainable_weights)


@pytest.mark.parametrize(
    ("bnneck", "kind", "spread"),
    [
        (True, "linear", 0.001),
        (False, "linear", 1 / (3 * 128) ** 0.5),
        (True, "cosine", 1.0),
        (False, "cosine", 1.0),
    ],
)
def test_a_classifier_starts_where_what_it_reads_can_be_learned(bnneck, kind, spread):
    """A step moves each weight by about the learning rate, however small it is."""
    network = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4, bnneck=bnneck))
    learner = Learner(network, Objective(classifier=kind), num_works=50)
    learner.build((None, 84, None, 1))
    (kernel,) = learner.classifier.get_weights()
    assert kernel.std() == pytest.approx(spread, rel=0.05)


def test_without_bnneck_a_classifier_starts_as_that_of_pytorch():
    torch = pytest.importorskip("torch")
    network = ByteCover(Architecture(blocks=(1, 1, 1, 1), width=4, bnneck=False))
    learner = Learner(network, num_works=500)
    learner.build((None, 84, None, 1))
    theirs = torch.nn.Linear(network.dim, 500).weight.detach().numpy()
    (ours,) = learner.classifier.get_weights()
    assert ours.std() == pytest.approx(theirs.std(), rel=0.02)
