"""The file of a user's cell, in which tests make mistakes."""

LEAKY = """\
# my_cell.py
from rnnlab.cells.base import AbstractCell, CellOptions, Step
from rnnlab.core.parameters import Parameter


class LeakyOptions(CellOptions):
    leak: float = 0.3  # the share of the state that is replaced at each step


class Leaky(AbstractCell):
    Options = LeakyOptions
    states = ("h",)

    def parameters(self, input_features):
        units = self.options.units
        return {
            "W": Parameter((input_features, units), "kernel"),
            "U": Parameter((units, units), "recurrent_kernel"),
            "b": Parameter((units,), "bias"),
        }

    def step(self, xp, parameters, inputs, state):
        p, h, leak = parameters, state["h"], self.options.leak
        new = self.activation(xp, xp.matmul(inputs, p["W"]) + xp.matmul(h, p["U"]) + p["b"])
        h = (1 - leak) * h + leak * new
        return Step(output=h, state={"h": h})
"""
