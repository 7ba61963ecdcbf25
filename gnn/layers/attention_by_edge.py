"""`gnn.layers.attention` edge by edge, as torch-geometric writes it: the reference in tests."""

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import softmax

from gnn.layers.attention import SeparableAttention

# No `from __future__ import annotations`: torch-geometric reads the annotations of `message`
# when the class is made.


class AttentionByEdge(MessagePassing):
    """Logits of all three terms, softmax over each receiver's edges, weighted sum."""

    def __init__(self, layer: SeparableAttention, score_receive: Tensor) -> None:
        super().__init__(aggr="sum", node_dim=0)
        self.layer = layer
        # (heads, head_width) any numbers: their term cancels in the softmax.
        self.score_receive = score_receive

    def forward(
        self, receiving: Tensor, senders: Tensor, edges: Tensor, index: Tensor
    ) -> Tensor:
        """Return the messages, (I, width).

        Shapes: receiving (I, width) states of the receivers, senders (J, width), edges (E, width),
        index (2, E).
        """
        messages: Tensor = self.propagate(
            torch.stack([index[1], index[0]]),  # torch-geometric's order: from, to
            own=(torch.zeros_like(senders), receiving),
            sent=(self.layer.send(senders), torch.zeros_like(receiving)),
            along=self.layer.edge(edges),
            size=(len(senders), len(receiving)),
        )
        return messages

    def message(
        self, own_i: Tensor, sent_j: Tensor, along: Tensor, index: Tensor, size_i: int
    ) -> Tensor:
        """Return the weighted message of each edge, (E, width)."""
        layer = self.layer
        logits = (
            layer.score(own_i, self.score_receive)
            + layer.score(sent_j, layer.score_send)
            + layer.score(along, layer.score_edge)
        )
        weight = softmax(logits, index, num_nodes=size_i)  # (E, heads)
        return (layer.by_head(sent_j) * weight[:, :, None]).flatten(1)
