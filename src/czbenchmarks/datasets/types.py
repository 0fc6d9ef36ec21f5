"""Organisms, and how their gene identifiers begin."""

from __future__ import annotations

from enum import Enum

from czbenchmarks import _check
from czbenchmarks._check.text import as_text
from czbenchmarks.exceptions import InputError


class Organism(Enum):
    """A species: its scientific name and the prefix of its gene identifiers.

    A member is found by its plain or its scientific name, in any case.

    Examples
    --------
    >>> Organism("human"), Organism("Homo sapiens"), Organism["HUMAN"]
    (homo_sapiens, homo_sapiens, homo_sapiens)
    >>> Organism.MOUSE.prefix
    'ENSMUSG'
    """

    HUMAN = ("homo_sapiens", "ENSG")
    MOUSE = ("mus_musculus", "ENSMUSG")
    TROPICAL_CLAWED_FROG = ("xenopus_tropicalis", "ENSXETG")
    AFRICAN_CLAWED_FROG = ("xenopus_laevis", "ENSXLAG")
    ZEBRAFISH = ("danio_rerio", "ENSDARG")
    MOUSE_LEMUR = ("microcebus_murinus", "ENSMICG")
    WILD_BOAR = ("sus_scrofa", "ENSSSCG")
    CRAB_EATING_MACAQUE = ("macaca_fascicularis", "ENSMFAG")
    RHESUS_MACAQUE = ("macaca_mulatta", "ENSMMUG")
    PLATYPUS = ("ornithorhynchus_anatinus", "ENSOANG")
    OPOSSUM = ("monodelphis_domestica", "ENSMODG")
    GORILLA = ("gorilla_gorilla", "ENSGGOG")
    CHIMPANZEE = ("pan_troglodytes", "ENSPTRG")
    MARMOSET = ("callithrix_jacchus", "ENSCJAG")
    CHICKEN = ("gallus_gallus", "ENSGALG")
    RABBIT = ("oryctolagus_cuniculus", "ENSOCUG")
    FRUIT_FLY = ("drosophila_melanogaster", "FBgn")
    RAT = ("rattus_norvegicus", "ENSRNOG")
    NAKED_MOLE_RAT = ("heterocephalus_glaber", "ENSHGLG")
    CAENORHABDITIS_ELEGANS = ("caenorhabditis_elegans", "WBGene")
    YEAST = ("saccharomyces_cerevisiae", "")
    MALARIA_PARASITE = ("plasmodium_falciparum", "PF3D7")
    SEA_LAMPREY = ("petromyzon_marinus", "ENSPMAG")
    FRESHWATER_SPONGE = ("spongilla_lacustris", "ENSLPGG")
    CORAL = ("stylophora_pistillata", "LOC")
    SEA_URCHIN = ("lytechinus_variegatus", "")

    @property
    def name(self) -> str:  # the published meaning; the member's own name is `_name_`
        """The scientific name."""
        return self.value[0]

    @property
    def prefix(self) -> str:
        """What every gene identifier begins with; empty where there is no common prefix."""
        return self.value[1]

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name

    @classmethod
    def _missing_(cls, value: object) -> Organism:
        if isinstance(value, list):  # the pair, back from JSON
            value = tuple(value)
        text = as_text(value).strip().lower().removeprefix("organism.").replace(" ", "_")
        for member in cls:
            if value == member.value or text in (member._name_.lower(), member.name):
                return member
        known = {name for member in cls for name in (member._name_.lower(), member.name)}
        raise InputError(_check.unknown("Organism", text, known))
