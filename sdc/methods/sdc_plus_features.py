"""SDC+ on features alone, for vectors without images.

Source: this project; docs/methods.md.
"""

from sdc.methods.base import method
from sdc.methods.sdc_plus import SDCPlus


@method
class SDCPlusFeatures(SDCPlus):
    """SDC+ whose views are the features of each item's nearest neighbours by diffusion."""

    title = "SDC+ (features)"
    requires = ("features",)
    optional = ()
