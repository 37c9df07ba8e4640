"""The options that many update rules share, with what they mean."""

from typing import Annotated

LearningRate = Annotated[float, "learning rate"]
Betas = Annotated[tuple[float, float], "decay a step of the averages of the gradient and of its square"]
Epsilon = Annotated[float, "added to the root of the averaged squares, so that none is divided by zero"]
Momentum = Annotated[float, "decay a step of the sum of past gradients"]
AveragingMomentum = Annotated[float, "decay a step of the average of past gradients"]
WeightDecay = Annotated[float, "multiple of the weights that is added to the gradient (L2)"]
DecoupledWeightDecay = Annotated[float, "share of the weights, times the learning rate, that a step takes off beside the gradient's part"]
FinalRate = Annotated[float, "rate on which both bounds close, that of the descent at the end"]
BoundSpeed = Annotated[float, "how fast the bounds close: about 1 / gamma updates"]
