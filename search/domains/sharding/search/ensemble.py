"""Price one plan by every member of the ensemble, for the interval of its cost."""

from __future__ import annotations

import numpy as np

from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.encode.setup import Setup
from search.domains.sharding.search.models import Models
from search.domains.sharding.search.oracle import members_of
from search.domains.sharding.search.plan_model import LearnedExchange, embed_in_parts


def member_costs(models: Models, setup: Setup, plan: Plan) -> list[float]:
    """Return the plan's milliseconds under each member, the certified model first.

    Only the shards of the plan are priced: for all options, each member would take as long as
    the certified model did.
    """
    arrays, devices = setup.arrays, len(setup.profiles)
    table, width, owner = members_of(setup.items, plan.option)
    device = plan.device[owner]
    exchange = LearnedExchange(
        net=models.exchange, fabric=setup.fabric, batch=arrays.batch
    )
    columns = np.bincount(
        device, weights=width * arrays.features[table], minlength=devices
    )
    exchange_ms = float(exchange(columns))
    costs = []
    for net in (models.compute, *models.ensemble):
        slowest = 0.0
        for profile in {p.name: p for p in setup.profiles}.values():
            here = np.array([p.name == profile.name for p in setup.profiles])[device]
            if here.any():
                used, place = np.unique(device[here], return_inverse=True)
                vectors = embed_in_parts(net, arrays, table[here], width[here], profile)
                pooled = np.zeros((len(used), vectors.shape[1]))
                np.add.at(pooled, place.reshape(-1), vectors)
                slowest = max(slowest, float(net.head(profile)(pooled).max()))
        costs.append(slowest + exchange_ms)
    return costs
