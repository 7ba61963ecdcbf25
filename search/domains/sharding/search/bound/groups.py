"""Groups of interchangeable devices, with the data that a lower bound needs of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.sharding.nets import ConvexHead
from cost_models.sharding.simulator import FabricModel
from search.domains.sharding.encode.items import Items
from search.domains.sharding.search.bound.sending import least_sending
from search.domains.sharding.search.plan_model import LearnedExchange, PlanModel

# More groups are joined where they differ in memory or pins alone; the bound stays valid.
_MAX_GROUPS = 8
_MAX_SLOPES = 16


@dataclass(frozen=True, kw_only=True)
class Groups:
    """G groups of devices of one class, with the limits of each and the least exchange."""

    of_device: np.ndarray  # (D,) group of each device
    count: np.ndarray  # (G,) devices
    kind: np.ndarray  # (G,) class of device
    heads: tuple[ConvexHead, ...]  # one per group
    embedding: tuple[np.ndarray, ...]  # (O, K) per group
    # (G, O) options that some device of the group can hold by memory and pins
    usable: np.ndarray
    room: np.ndarray  # (G,) bytes of all its devices
    near: np.ndarray  # (G,) milliseconds to send a column inside a node
    far: np.ndarray  # (G,) and between nodes
    # (G,) milliseconds to receive a column inside a node, and between nodes; 0: not bounded here.
    gets_near: np.ndarray
    gets_far: np.ndarray
    # (G,) a receiver of the group holds, on average, the group's columns / parts itself.
    parts: np.ndarray
    columns: float  # of all items
    # (F, 2) the exchange is the largest of these linear forms of near and far milliseconds.
    forms: np.ndarray
    near_least: float  # least milliseconds that the slowest device sends inside nodes
    far_least: float  # and between nodes
    constant_ms: float
    least_ms: float  # crude lower bound of the compute of a device that holds a shard

    def __len__(self) -> int:
        return len(self.count)

    def exchange_ms(
        self, near: np.ndarray | float, far: np.ndarray | float
    ) -> np.ndarray:
        """Return the exchange when the slowest device sends this long at the two levels."""
        near, far = np.broadcast_arrays(
            np.asarray(near, dtype=float), np.asarray(far, dtype=float)
        )
        return np.asarray(
            self.constant_ms
            + (
                near[..., None] * self.forms[:, 0] + far[..., None] * self.forms[:, 1]
            ).max(-1)
        )

    @property
    def exchange_least_ms(self) -> float:
        """Least exchange of any plan."""
        return float(self.exchange_ms(self.near_least, self.far_least))


def groups_of(items: Items, model: PlanModel, capacity: np.ndarray) -> Groups:
    """Group the devices of a job. Raises TypeError when the model is not the convex one."""
    exchange = model.exchange
    if not isinstance(exchange, LearnedExchange):
        raise TypeError(
            f"exchange: expected the convex exchange net, got {type(exchange).__name__}"
        )
    near, far = exchange.per_column_ms()
    of_device = _partition(items, model, capacity, near, far)
    first = [
        int(np.flatnonzero(of_device == g)[0]) for g in range(int(of_device.max()) + 1)
    ]
    options = items.options
    usable = np.zeros((len(first), len(options)), dtype=bool)
    for g in range(len(first)):
        mine = of_device == g
        usable[g] = options.memory <= capacity[mine].max()
        if items.allowed is not None:
            usable[g] &= np.asarray(items.allowed[:, mine].any(1))[options.item]
    some = np.asarray(usable.any(0))
    count = np.bincount(of_device).astype(float)
    gets_near, gets_far, parts = _receiving(exchange.fabric, of_device, first, near, far)
    heads = tuple(_convex(model.heads[model.device_class[d]]) for d in first)
    embedding = tuple(model.embedding[model.device_class[d]] for d in first)
    return Groups(
        of_device=of_device,
        count=count,
        kind=model.device_class[first],
        heads=heads,
        embedding=embedding,
        usable=usable,
        room=np.bincount(of_device, weights=capacity),
        near=near[first],
        far=far[first],
        gets_near=gets_near,
        gets_far=gets_far,
        parts=parts,
        columns=float(options.dim[items.whole].sum()),
        forms=exchange.forms,
        near_least=least_sending(items, near, some),
        far_least=least_sending(items, far, some),
        constant_ms=exchange.constant_ms,
        least_ms=min(
            _least_ms(items, h, e, mask)
            for h, e, mask in zip(heads, embedding, usable, strict=True)
        ),
    )


def _least_ms(
    items: Items, head: ConvexHead, embedding: np.ndarray, usable: np.ndarray
) -> float:
    """Return a lower bound of a loaded device's compute, from affine bounds of its head."""
    active = embedding[items.whole] @ head.inner.T + head.shift > 0  # (I, J)
    patterns, count = np.unique(active, axis=0, return_counts=True)
    slopes = np.vstack(
        [
            patterns[np.argsort(-count, kind="stable")[:_MAX_SLOPES]],
            np.zeros(len(head.out)),
        ]
    )
    price = embedding @ (head.skip + (slopes * head.out) @ head.inner).T  # (O, P)
    constant = head.bias + (slopes * head.out) @ head.shift
    return float((constant + least_rest(items, price, usable)).max())


def least_rest(items: Items, price: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return the most negative sum of prices that all shards together can have; (O, P) → (P,)."""
    options = items.options
    per_column = np.where(usable[:, None], price / options.width[:, None], 0.0)
    # Shape (I, P) rate of an item.
    lowest = np.minimum.reduceat(per_column, items.whole, axis=0)
    least = np.minimum(lowest, 0.0)
    return np.asarray((least * options.width[items.whole][:, None]).sum(0))


def _receiving(
    fabric: FabricModel,
    of_device: np.ndarray,
    first: list[int],
    near: np.ndarray,
    far: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the milliseconds to receive a column at both levels, and `parts`; (G,) each.

    In one node a device receives all columns but its own; a node receives all columns but its own
    from the others. The latter is a statement about groups only where these are whole nodes.
    Sending takes a device (number of peers) times as long.
    """
    count = np.bincount(of_device).astype(float)
    none = np.zeros(len(first))
    if fabric.ranks == 1:
        return none, none, count
    if fabric.ranks == fabric.per_node:
        return near[first] / (fabric.per_node - 1), none, count
    of_node = of_device.reshape(-1, fabric.per_node)
    pure = (of_node == of_node[:, :1]).all()
    if not pure:
        return none, none, count
    return none, far[first] / (fabric.ranks - fabric.per_node), count / fabric.per_node


def _partition(
    items: Items,
    model: PlanModel,
    capacity: np.ndarray,
    near: np.ndarray,
    far: np.ndarray,
) -> np.ndarray:
    """Return (D,) the group of each device.

    Equal class, links, memory and pins; memory and pins are ignored when the groups are too many.
    """
    links = [model.device_class, near, far]
    finer = [*links, capacity]
    if items.allowed is not None:
        pins = {column.tobytes(): n for n, column in enumerate(items.allowed.T)}
        finer.append(np.array([pins[column.tobytes()] for column in items.allowed.T]))
    for keys in (finer, [*links, capacity], links):
        _, group = np.unique(
            np.column_stack(keys).astype(float), axis=0, return_inverse=True
        )
        if int(group.max()) < _MAX_GROUPS:
            break
    return np.asarray(group.reshape(-1))


def _convex(head: object) -> ConvexHead:
    if not isinstance(head, ConvexHead):
        raise TypeError(f"head: expected a convex head, got {type(head).__name__}")
    return head
