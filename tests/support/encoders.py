"""Encoders whose heads were fitted to features of a few images, without a pipeline."""

import dataclasses

import numpy as np
import torch
from PIL import Image

from sdc import LSH, Encoder, registry
from sdc.backbones.extraction import Extraction


def make_encoder(settings, images, array="features", **metadata):
    """An encoder of a backbone's settings and an LSH head of 32 bits; images are arrays."""
    backbone = registry.build("backbones", "mine", settings)
    identity = {"backbone": "mine", "weights": backbone.weights_id(), "transform": backbone.transform_id()}
    identity |= {"backbone_settings": settings, "decoding": {}, **metadata}
    extraction = Extraction(backbone, Image.fromarray, torch.device("cpu"), sample=tuple)
    features = np.concatenate([block[array] for block in extraction.blocks(images)])
    head = LSH(bits=32, seed=0).fit(features).head
    return Encoder(dataclasses.replace(head, metadata={**head.metadata, **identity}), backbone, "the head", "cpu")
