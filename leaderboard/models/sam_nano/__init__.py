"""A small SAM that `pipelines/nano` trains from nothing; weights and a card that says on what lie here."""

from segment_anything.modeling import Sam as Network

from leaderboard import weights
from leaderboard.contamination import TrainedOn
from leaderboard.finetuned import base_of
from leaderboard.models.base import ALL, Declaration
from leaderboard.sam import network
from leaderboard.sam import weights as states
from leaderboard.sam.segmenter import Sam

_NAME = "sam_nano"
#: The sources whose split train it saw: the sample, and of the others phantoms alone (README.md, Data).
_SEEN = """
    sample abdomenct_1k acdc amos_2022 autolaparo brainptm_2021 brats20 cellseg_challenge_neurips_2022 chaos
    chase_db1 chest_ct_segmentation crag crossmoda cvc_clinicdb drive endotect_2020 etis_larib_polyp_db feta
    han_seg i2cvb ichallenge_amd ichallenge_palm idrid_2018 iseg_2019 isic_2018 ixi kipa22 kits19 kits21
    kvasir_instrument kvasir_seg livscar luna16 m_and_ms malbcv_abdomen montgomery_cxr msd nci_isbi_2013
    promise12 qubiq_2021 siim_acr_pneumothorax sliver07 sstem_isbi2012 stare tls01_4c2021_c04
    totalsegmentator_v1 verse warwick_qu_glas word
"""


class SamNano(Sam):
    declaration = Declaration(
        name=_NAME,
        kind="demonstration",
        description="A small SAM to try things with, trained here on synthetic images and one MRI of a head; "
        "no measure of SAM.",
        version=1,
        preprocessing="sam",
        candidates=3,
        applies=ALL,
        made_for=ALL,
        parameters=weights.PARAMETERS[weights.SHIPPED[_NAME]],
        weights_sha256=base_of(_NAME).weights_sha256,
        trained_on=TrainedOn(others="none", sources=dict.fromkeys(_SEEN.split(), "train")),
        dtype="float32",
    )

    @classmethod
    def check(cls) -> None:
        base_of(_NAME)

    @classmethod
    def load(cls) -> Network:
        made = network.build(weights.SHIPPED[_NAME])
        states.load(weights.shipped(_NAME), made)
        return made


MODEL = SamNano
