"""What torchvision's networks take of memory, by name, so that a plan can say it without them.

``python benchmarks/memory.py --networks`` prints the table.
"""

import functools
from typing import NamedTuple


class Network(NamedTuple):
    """Memory of a network without its last layer, in float32.

    Attributes:
        weights: MB.
        activations: MB of an image where the most of them are needed at a time.
        edge: Of that image, in pixels: what the network takes by default.
    """

    weights: float
    activations: float
    edge: int


# Of a network that is not in the table: as a large one of those that are usual.
USUAL = Network(400, 20, 224)

_TABLE = """
alexnet 228 1.4 224, convnext_base 350 14.4 224, convnext_large 785 21.7 224, convnext_small 198 10.8 224,
convnext_tiny 111 10.8 224, densenet121 28 8.4 224, densenet161 107 12.6 224, densenet169 50 8.4 224,
densenet201 73 8.4 224, efficientnet_b0 16 6.0 224, efficientnet_b1 26 6.9 240, efficientnet_b2 31 9.9 288,
efficientnet_b3 43 16.2 300, efficientnet_b4 70 26.0 380, efficientnet_b5 113 37.4 456, efficientnet_b6 162 66.9 528,
efficientnet_b7 254 86.4 600, efficientnet_v2_l 468 22.1 480, efficientnet_v2_m 211 16.6 480,
efficientnet_v2_s 80 10.6 384, googlenet 22 4.0 224, inception_v3 87 8.3 299, maxvit_t 122 26.5 224,
mnasnet0_5 4 1.6 224, mnasnet0_75 8 3.2 224, mnasnet1_0 12 3.2 224, mnasnet1_3 20 4.8 224, mobilenet_v2 9 6.0 224,
mobilenet_v3_large 17 4.0 224, mobilenet_v3_small 6 1.4 224, regnet_x_16gf 209 19.3 224, regnet_x_1_6gf 33 6.1 224,
regnet_x_32gf 421 25.3 224, regnet_x_3_2gf 57 7.6 224, regnet_x_400mf 20 3.6 224, regnet_x_800mf 26 5.6 224,
regnet_x_8gf 150 6.6 224, regnet_y_128gf 2549 116.8 384, regnet_y_16gf 322 16.9 224, regnet_y_1_6gf 41 4.6 224,
regnet_y_32gf 565 17.5 224, regnet_y_3_2gf 72 6.1 224, regnet_y_400mf 16 4.6 224, regnet_y_800mf 22 5.6 224,
regnet_y_8gf 149 16.9 224, resnet101 170 9.6 224, resnet152 232 9.6 224, resnet18 45 4.0 224, resnet34 85 4.0 224,
resnet50 94 9.6 224, resnext101_32x8d 347 11.2 224, resnext101_64x4d 325 11.2 224, resnext50_32x4d 92 9.6 224,
shufflenet_v2_x0_5 1 1.8 224, shufflenet_v2_x1_0 5 1.8 224, shufflenet_v2_x1_5 10 1.8 224,
shufflenet_v2_x2_0 21 2.3 224, swin_b 347 14.4 224, swin_s 196 10.8 224, swin_t 110 10.8 224, swin_v2_b 348 18.9 256,
swin_v2_s 197 14.2 256, swin_v2_t 111 14.2 256, vgg11 515 16.1 224, vgg11_bn 515 16.1 224, vgg13 516 25.7 224,
vgg13_bn 516 25.7 224, vgg16 537 25.7 224, vgg16_bn 537 25.7 224, vgg19 558 25.7 224, vgg19_bn 558 25.7 224,
vit_b_16 343 5.5 224, vit_b_32 350 1.4 224, vit_h_14 2529 63.1 518, vit_l_16 1213 7.3 224, vit_l_32 1222 1.8 224,
wide_resnet101_2 499 9.6 224, wide_resnet50_2 267 9.6 224
"""


@functools.cache
def networks() -> dict[str, Network]:
    """The table by name."""
    rows = (row.split() for row in _TABLE.split(","))
    return {name: Network(float(weights), float(image), int(edge)) for name, weights, image, edge in rows}
