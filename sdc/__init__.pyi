# Written by `make format` from sdc.registry.
from sdc.methods.bihalf import BiHalf as BiHalf
from sdc.methods.cibhash import CIBHash as CIBHash
from sdc.methods.cimon import CIMON as CIMON
from sdc.methods.crovca import CroVCA as CroVCA
from sdc.methods.dpn import DPN as DPN
from sdc.methods.greedyhash import GreedyHash as GreedyHash
from sdc.methods.itq import ITQ as ITQ
from sdc.methods.losses import SDCLoss as SDCLoss
from sdc.methods.lsh import LSH as LSH
from sdc.methods.nsh import NSH as NSH
from sdc.methods.oh import OH as OH
from sdc.methods.orthohash import OrthoHash as OrthoHash
from sdc.methods.pca_rotation import PCARotation as PCARotation
from sdc.methods.sdc import SDC as SDC
from sdc.methods.sdc_plus import SDCPlus as SDCPlus
from sdc.methods.sdc_plus_features import SDCPlusFeatures as SDCPlusFeatures
from sdc.methods.sdc_simclr import SDCSimCLR as SDCSimCLR
from sdc.methods.sh import SH as SH
from sdc.methods.ssdh import SSDH as SSDH
from sdc.methods.tbh import TBH as TBH
from sdc.methods.wch import WCH as WCH
from sdc.search.encoder import Encoder as Encoder
from sdc.search.index import Index as Index

__version__: str
