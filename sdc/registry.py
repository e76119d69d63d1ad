"""Names of everything that can be chosen: data only, importing nothing heavy.

Name = config key = wildcard = module: one more dataset, backbone or method is one file and one line here.
"""

import pkgutil
from collections.abc import Mapping
from typing import Any

from sdc.errors import SDCError
from sdc.settings import Settings, check, choices, schema_of

# Raise it when library code changes what a feature shard holds: every shard is then extracted again.
FEATURES_VERSION = 3

DATASETS = {
    "digits": "sdc.datasets.digits:Digits",
    "digit_pairs": "sdc.datasets.digits:DigitPairs",
    "cifar10": "sdc.datasets.cifar:Cifar10",
    "cifar100": "sdc.datasets.cifar:Cifar100",
    "mnist": "sdc.datasets.mnist:MNIST",
    "imagenet100": "sdc.datasets.imagenet100:ImageNet100",
    "nuswide": "sdc.datasets.nuswide:NUSWide",
    "mscoco": "sdc.datasets.mscoco:MSCOCO",
    "folder": "sdc.datasets.folder:Folder",
    "features": "sdc.datasets.features:VectorDataset",
    "list": "sdc.datasets.list:Lists",
    "csv": "sdc.datasets.csv:CSV",
    "mirflickr": "sdc.datasets.mirflickr:MIRFlickr",
    "sop": "sdc.datasets.sop:SOP",
    "gldv2": "sdc.datasets.gldv2:GLDv2",
    "roxford5k": "sdc.datasets.revisited:ROxford5k",
    "rparis6k": "sdc.datasets.revisited:RParis6k",
}

# torchvision's classifiers that end in a Linear layer (SqueezeNet ends in a convolution, so it has no place here).
TORCHVISION = """
alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161 densenet169 densenet201
efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
efficientnet_b7 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5
mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_16gf regnet_x_1_6gf
regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf regnet_y_16gf regnet_y_1_6gf
regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf resnet101 resnet152 resnet18 resnet34 resnet50
resnext101_32x8d resnext101_64x4d resnext50_32x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5
shufflenet_v2_x2_0 swin_b swin_s swin_t swin_v2_b swin_v2_s swin_v2_t vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn
vgg19 vgg19_bn vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2 wide_resnet50_2
""".split()

BACKBONES = {
    "pixels": "sdc.backbones.pixels:Pixels",
    "imported": "sdc.backbones.imported:Imported",
    "module": "sdc.backbones.module:Module",
    "timm": "sdc.backbones.timm:Timm",
    **dict.fromkeys(TORCHVISION, "sdc.backbones.torchvision:Torchvision"),
}

METHODS = {
    "lsh": "sdc.methods.lsh:LSH",
    "sh": "sdc.methods.sh:SH",
    "pca_rotation": "sdc.methods.pca_rotation:PCARotation",
    "itq": "sdc.methods.itq:ITQ",
    "ssdh": "sdc.methods.ssdh:SSDH",
    "greedyhash": "sdc.methods.greedyhash:GreedyHash",
    "tbh": "sdc.methods.tbh:TBH",
    "cibhash": "sdc.methods.cibhash:CIBHash",
    "bihalf": "sdc.methods.bihalf:BiHalf",
    "nsh": "sdc.methods.nsh:NSH",
    "wch": "sdc.methods.wch:WCH",
    "cimon": "sdc.methods.cimon:CIMON",
    "oh": "sdc.methods.oh:OH",
    "crovca": "sdc.methods.crovca:CroVCA",
    "sdc": "sdc.methods.sdc:SDC",
    "sdc_simclr": "sdc.methods.sdc_simclr:SDCSimCLR",
    "sdc_plus": "sdc.methods.sdc_plus:SDCPlus",
    "sdc_plus_features": "sdc.methods.sdc_plus_features:SDCPlusFeatures",
    "dpn": "sdc.methods.dpn:DPN",
    "orthohash": "sdc.methods.orthohash:OrthoHash",
}

# What ``from sdc import NAME`` gives, by name; ``sdc/__init__.pyi`` says it to type checkers and editors.
PUBLIC = {
    **{target.partition(":")[2]: target for target in METHODS.values()},
    "SDCLoss": "sdc.methods.losses:SDCLoss",
    "Encoder": "sdc.search.encoder:Encoder",
    "Index": "sdc.search.index:Index",
}

CATALOGUES: dict[str, Mapping[str, str]] = {"datasets": DATASETS, "backbones": BACKBONES, "methods": METHODS}

# Named sets of hyper-parameters that every method knows (sdc.methods.base.HashMethod.preset).
PRESETS = ("paper", "code", "original", "instance")

# Fields of the classes that come from elsewhere than the catalogue entry: from the run or from the entry's name.
NOT_IN_CONFIG = {"datasets": (), "backbones": ("model",), "methods": ("bits", "seed")}


def names(catalogue: str, config: Mapping[str, Any]) -> list[str]:
    """Every name of a catalogue, registered or in the config, sorted."""
    return sorted({*CATALOGUES[catalogue], *config.get(catalogue, {})})


def load(catalogue: str, kind: str) -> type[Settings]:
    """Import the class behind a registered name, for example ``load("methods", "itq")``."""
    cls: type[Settings] = pkgutil.resolve_name(CATALOGUES[catalogue][kind])
    return cls


def entry_schema(catalogue: str, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of one catalogue entry: the fields of its class, and ``type``.

    An entry whose name is not registered says with ``type`` what it is: ``pets: {type: folder, root: ...}``. A method
    starts from a named set of hyper-parameters if it has a ``preset``.
    """
    known = CATALOGUES[catalogue]
    kind = settings.get("type", name)
    if not isinstance(kind, str) or kind not in known:
        return {"type": "object", "properties": {"type": {"enum": sorted(known)}}, "required": ["type"]}
    schema = schema_of(load(catalogue, kind), without=NOT_IN_CONFIG[catalogue])
    schema["properties"]["type"] = {"enum": sorted(known)}
    if catalogue == "methods":
        schema["properties"]["preset"] = {"enum": list(PRESETS)}
    return schema


def check_entry(catalogue: str, name: str, settings: Mapping[str, Any]) -> None:
    """Check that a catalogue entry is one: that its name or its ``type`` is registered, and its settings are known.

    Raises:
        SDCError: If it is not.
    """
    if name not in CATALOGUES[catalogue] and "type" not in settings:
        known = choices(name, CATALOGUES[catalogue])
        raise SDCError(f"{catalogue}.{name}: is not known, and has no type; {known}")
    check(settings, entry_schema(catalogue, name, settings), where=f"{catalogue}.{name}")


def build(catalogue: str, name: str, settings: Mapping[str, Any], **given: Any) -> Any:
    """Make the object behind a catalogue entry.

    Args:
        catalogue: ``datasets``, ``backbones`` or ``methods``.
        name: Name of the entry; also its type unless ``settings`` has a ``type``.
        settings: The entry as the config has it.
        **given: Fields that do not come from the entry, for example ``bits`` and ``seed``.

    Raises:
        SDCError: If the name is unknown or a setting is.
    """
    check_entry(catalogue, name, settings)
    kind = settings.get("type", name)
    values = {key: value for key, value in settings.items() if key not in ("type", "preset")}
    cls: Any = load(catalogue, kind)
    if "preset" in settings:
        values = {**cls.preset_values(settings["preset"]), **values}
    if catalogue == "backbones":
        given["model"] = kind
    return cls(**values, **given)


def settings_of(backbone: Settings) -> dict[str, Any]:
    """All settings of a backbone, defaults included, as a catalogue entry: what ``build`` makes the same from."""
    values = backbone.as_dict()
    return {"type": values.pop("model"), **values}
