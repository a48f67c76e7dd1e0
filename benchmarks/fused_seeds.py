"""Seeds of one Keras network trained together (vmap over Keras's own train_step) or one by one.

    KERAS_BACKEND=jax python benchmarks/fused_seeds.py [--budget 210] [--deterministic]

Prints one table: milliseconds per seed and step, the ratio to the unfused scan, seconds until
the first result (trace and compile), whether a lane's bits depend on its neighbours or its
place, and a digest of lane 0 to compare between processes. Needs keras, jax and numpy. Stops
opening new rows when the budget (seconds) is spent; `--lanes 4,16` chooses the rows.
"""

import argparse
import hashlib
import os
import statistics
import time
from functools import partial

options = argparse.ArgumentParser()
options.add_argument("--budget", type=float, default=210)
options.add_argument("--lanes", default="")
options.add_argument("--rows", type=int, default=1408)
options.add_argument("--batch", type=int, default=32)
options.add_argument("--nets", default="mlp,cnn,cnn-gemm,cnn32,cnn32-gemm")
options.add_argument("--deterministic", action="store_true", help="xla_gpu_deterministic_ops")
args = options.parse_args()
BEGAN = time.perf_counter()
os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if args.deterministic:
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_deterministic_ops=true"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers  # noqa: E402

GPU = jax.default_backend() != "cpu"
LANES = (
    [int(n) for n in args.lanes.split(",")]
    if args.lanes
    else ([1, 4, 16, 64, 256] if GPU else [1, 4, 16])
)
REPEATS = 7 if GPU else 5


class GemmConv(layers.Conv2D):
    """A same-padded convolution of stride 1 as one matrix product: no groups under vmap."""

    def call(self, x):
        h, w = self.kernel_size
        height, width = x.shape[1], x.shape[2]
        padded = keras.ops.pad(x, [[0, 0], [h // 2, (h - 1) // 2], [w // 2, (w - 1) // 2], [0, 0]])
        parts = [padded[:, i : i + height, j : j + width] for i in range(h) for j in range(w)]
        flat = keras.ops.reshape(self.kernel, (-1, self.filters))
        return keras.ops.matmul(keras.ops.concatenate(parts, axis=-1), flat) + self.bias


def network(name):
    if name == "mlp":
        inputs = keras.Input((64,))
        x = inputs
        for _ in range(2):
            x = layers.Dense(100)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
            x = layers.Dropout(0.2)(x)
        return keras.Model(inputs, layers.Dense(10)(x)), (64,)
    conv = GemmConv if name.endswith("gemm") else layers.Conv2D
    shape, filters = (
        ((8, 8, 1), (16, 32))
        if name.startswith("cnn-") or name == "cnn"
        else ((32, 32, 3), (32, 64, 128))
    )
    inputs = keras.Input(shape)
    x = inputs
    for each in filters:
        x = conv(each, 3, padding="same")(x)
        x = layers.MaxPooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(10)(layers.Dropout(0.3)(x))), shape


class Steps:
    """Keras's `train_step` and `test_step` as pure functions of one lane's state."""

    def __init__(self, model, data, batch):
        self.model, self.batch = model, batch
        model.optimizer.build(model.trainable_variables)
        model._symbolic_build(data_batch=tuple(each[:batch] for each in data))  # makes metrics
        model.reset_metrics()
        self.zero = [np.array(each.value) for each in model.metrics_variables]
        rate = model.optimizer._learning_rate
        self.rate = next(i for i, v in enumerate(model.optimizer.variables) if v is rate)

    def state(self):
        model = self.model
        parts = model.trainable_variables, model.non_trainable_variables, model.optimizer.variables
        return tuple([np.array(each.value) for each in part] for part in parts)

    def epoch(self, masked=False):
        def run(state, data, order, rates, active):
            def body(carry, given):
                (weights, others, slots, sums), alive = carry
                rows, rate = given
                slots = [rate if i == self.rate else each for i, each in enumerate(slots)]
                old = (weights, others, slots, sums)
                logs, new = self.model.train_step(old, tuple(each[rows] for each in data))
                new = tuple(list(part) for part in new)
                if masked:
                    new = jax.tree.map(lambda n, o: jnp.where(alive, n, o), new, old)
                    alive = alive & jnp.isfinite(logs["loss"])
                return (new, alive), None

            steps = order.shape[0] // self.batch
            rows = order[: steps * self.batch].reshape(steps, self.batch)
            zero = [jnp.asarray(each) for each in self.zero]
            (state, alive), _ = jax.lax.scan(body, ((*state, zero), active), (rows, rates))
            return state[:3], self.logs(state[3]), alive

        return run

    def step(self):
        def run(state, data, rows):
            old = tuple(list(part) for part in state)
            return tuple(map(list, self.model.train_step(old, tuple(e[rows] for e in data))[1]))

        return run

    def test(self):
        def run(state, data):
            def body(sums, at):
                part = tuple(jax.lax.dynamic_slice_in_dim(each, at, size) for each in data)
                return list(self.model.test_step((state[0], state[1], sums), part)[1][2]), None

            size = 4 * self.batch
            count = data[0].shape[0] // size
            zero = [jnp.asarray(each) for each in self.zero]
            return self.logs(jax.lax.scan(body, zero, jnp.arange(count) * size)[0])

        return run

    def logs(self, sums):
        pairs = list(zip(self.model.metrics_variables, sums, strict=True))
        with keras.StatelessScope(state_mapping=pairs):
            return self.model.get_metrics_result()


def seeded(state, seed):
    """Another lane's beginning: weights permuted and random states set; good enough for timing."""
    rng = np.random.RandomState(seed)
    weights = [rng.permutation(a.reshape(-1)).reshape(a.shape) for a in state[0]]
    others = [np.array([seed, 0], a.dtype) if a.dtype.kind == "u" else a for a in state[1]]
    return weights, others, state[2]


def stack(states):
    return jax.tree.map(lambda *each: jnp.stack(each), *states)


def timed(function):
    """Return (seconds of the first call, median of the later ones)."""
    began = time.perf_counter()
    jax.block_until_ready(function())
    first, later = time.perf_counter() - began, []
    for _ in range(REPEATS):
        began = time.perf_counter()
        jax.block_until_ready(function())
        later.append(time.perf_counter() - began)
    return first, statistics.median(later)


def lane(tree, at):
    return jax.tree.map(lambda each: each[at], tree)


def spent():
    return time.perf_counter() - BEGAN > args.budget


def row(net, what, lanes, first, ms, base, note=""):
    ratio = f"{base / ms:7.2f}x" if base else "       -"
    print(f"{net:11s} {what:26s} {lanes:5d} {first:8.1f} {ms:10.4f} {ratio} {note}", flush=True)


def same(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)


def bench(name):
    keras.utils.set_random_seed(0)
    model, shape = network(name)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss, metrics=["accuracy"])
    rng = np.random.RandomState(0)
    x = rng.rand(args.rows, *shape).astype("float32")
    y = rng.randint(0, 10, args.rows).astype("int32")
    steps = args.rows // args.batch
    parts = Steps(model, (x, y), args.batch)
    start, data = parts.state(), (jnp.asarray(x), jnp.asarray(y))
    on = jnp.array(True)

    def order(seed):
        return np.random.RandomState(seed).permutation(args.rows).astype("int32")

    rates = jnp.full((steps,), 0.01, "float32")

    began = time.perf_counter()

    def fit():
        model.fit(x, y, batch_size=args.batch, epochs=1, shuffle=False, verbose=0)

    fit()
    first, later = time.perf_counter() - began, []
    for _ in range(3):
        began = time.perf_counter()
        fit()
        later.append(time.perf_counter() - began)
    fitted = 1000 * statistics.median(later) / steps
    one, state, rows = jax.jit(parts.epoch()), stack([start]), jnp.asarray(order(0))
    state = jax.tree.map(lambda each: each[0], state)
    took, median = timed(lambda: one(state, data, rows, rates, on))
    base = 1000 * median / steps
    row(name, "keras fit", 1, first, fitted, base)
    row(name, "scan, not fused", 1, took, base, base)

    fused = jax.jit(jax.vmap(parts.epoch(), in_axes=(0, None, 0, 0, 0)))
    mapped = jax.jit(
        lambda s, d, o, r, a: jax.lax.map(
            lambda each: parts.epoch()(each[0], d, *each[1:]), (s, o, r, a)
        )
    )
    masked = jax.jit(jax.vmap(parts.epoch(masked=True), in_axes=(0, None, 0, 0, 0)))
    test = jax.jit(parts.test())
    tests = jax.jit(jax.vmap(parts.test(), in_axes=(0, None)))

    def given(seeds):
        count = len(seeds)
        return (
            stack([seeded(start, s) for s in seeds]),
            data,
            jnp.asarray(np.stack([order(s) for s in seeds])),
            jnp.tile(rates, (count, 1)),
            jnp.ones(count, bool),
        )

    for lanes in LANES:
        if spent():
            return
        inputs = given(range(lanes))
        try:
            took, median = timed(partial(fused, *inputs))
        except Exception as error:  # out of memory, say
            print(f"{name:11s} fused {lanes}: {type(error).__name__}: {str(error)[:120]}")
            break
        note = ""
        if lanes > 1:
            whole = fused(*inputs)[0]
            moved = fused(*given([*range(100, 99 + lanes), 0]))[0]  # seed 0 last, others new
            again = fused(*inputs)[0]
            note = "pure" if same(lane(whole, 0), lane(moved, -1)) else "NOT pure"
            note += "" if same(whole, again) else ", NOT repeatable"
        bits = hashlib.sha256(
            b"".join(np.asarray(e)[0].tobytes() for e in jax.tree.leaves(fused(*inputs)[0]))
        ).hexdigest()[:12]
        note += " lane0=" + bits
        row(name, "vmap", lanes, took, 1000 * median / steps / lanes, base, note)
    lanes = LANES[min(2, len(LANES) - 1)]
    inputs = given(range(lanes))
    for what, function in (("vmap, frozen by where", masked), ("lax.map, lanes in turn", mapped)):
        if spent() or name.startswith("cnn32"):
            return
        took, median = timed(partial(function, *inputs))
        row(name, what, lanes, took, 1000 * median / steps / lanes, base)
    if spent():
        return
    single = jax.jit(jax.vmap(parts.step(), in_axes=(0, None, 0)))
    whole = (*inputs[0], [jnp.tile(z, (lanes,) + (1,) * z.ndim) for z in parts.zero])
    batches = [inputs[2][:, i * args.batch : (i + 1) * args.batch] for i in range(steps)]

    def stepwise():
        each = whole
        for rows in batches:
            each = single(each, data, rows)
        return each

    took, median = timed(stepwise)
    row(name, "vmap, steps from Python", lanes, took, 1000 * median / steps / lanes, base)
    size = args.rows // (4 * args.batch)
    took, median = timed(lambda: test(state, data))
    base = 1000 * median / size
    row(name, "test, not fused", 1, took, base, base)
    took, median = timed(lambda: tests(inputs[0], data))
    row(name, "test, vmap", lanes, took, 1000 * median / size / lanes, base)


print(
    f"keras {keras.__version__}, jax {jax.__version__}, {jax.devices()[0].device_kind}, "
    f"{os.cpu_count()} CPUs, batch {args.batch}, {args.rows // args.batch} steps an epoch"
)
print(f"{'net':11s} {'how':26s} lanes  first s ms/seedstep    ratio  (ratio: to the unfused scan)")
for net in args.nets.split(","):
    if not spent() and (GPU or not net.startswith("cnn32")):
        bench(net)
print(f"total {time.perf_counter() - BEGAN:.0f} s")
