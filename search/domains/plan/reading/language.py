"""Language of a goal, by tables of function words and of words of the trade."""

from __future__ import annotations

import re

from search.domains.plan.reading.glossary import LANGUAGES, glossary
from search.domains.plan.reading.stems import vocabulary

_WORDS = re.compile(r"[^\W\d_]+")
_LEAST_WORDS = 5
_FUNCTION_WORDS = {
    "English": (
        "the a an of and to in for with on is are be by then than at it its that this these from "
        "or not no we i my our you your please as each both all will would can should but if "
        "after before until within have has do does which what how them use"
    ),
    "German": (
        "der die das den dem des ein eine einen einem einer und oder nicht mit auf ist sind von zu "
        "im für bitte dann danach zuerst auch wird werden soll sollen ich wir unser unsere sie es "
        "nach bis als alle beide kein keine wie was aus bei über durch"
    ),
    "French": (
        "le la les un une des du de et ou ne pas avec sur est sont pour dans par il elle nous "
        "notre vous votre puis ensuite après avant chaque tous sans que qui ce cette ces je mon "
        "aux quels quel plus"
    ),
    "Spanish": (
        "el la los las un una unos de del y o no con en es son para por luego después antes cada "
        "todos sin que como este esta nuestro mi se su favor al lo más"
    ),
    "Portuguese": (
        "o os as um uma uns do da dos das e ou não com em no na nos é são para por depois antes "
        "cada todos sem que como este esta nosso meu se ao mais"
    ),
    "Italian": (
        "il lo gli un uno una di del della dei e o non con su è sono per poi dopo prima ogni tutti "
        "senza che come questo questa nostro mio si nel nella più"
    ),
    "Dutch": (
        "de het een en of niet met op is zijn van naar in voor dan daarna eerst ook wordt worden "
        "moet ik wij onze zij na tot als alle beide geen hoe wat uit bij over door"
    ),
    "Polish": (
        "i w na z do nie jest są dla po przed każdy wszystkie bez że jak ten ta to proszę się"
    ),
    "Swedish": "och att det som en ett på är av för med till den inte om har jag vi sedan efter",
}
_ENGLISH = frozenset(
    (
        _FUNCTION_WORDS["English"]
        + " a i o on of over do no so se me in an as am at am die also was "
        "also hat war bin son is con par plus sans pas pour tot uit bei per y e u i w z med sin dos"
    ).split()
)
_ALSO_ENGLISH = vocabulary(
    "band solver programm minute minutes machine machines table tables compile "
    "optimise minimise solution maximum six go mo fin mine cent mille lot carte fois "
    "temps taille fil page fort gut mal lang dick je bei ist des les est gruß samen "
    "ce que faut chez ou et en"
)
_TABLE = {
    name: frozenset(words.split()) - (_ENGLISH if name != "English" else frozenset())
    for name, words in _FUNCTION_WORDS.items()
}
_SCRIPTS = (
    ("Cyrillic script", "\u0400", "\u04ff"),
    ("Greek script", "\u0370", "\u03ff"),
    ("Arabic script", "\u0600", "\u06ff"),
    ("Hebrew script", "\u0590", "\u05ff"),
    ("Devanagari script", "\u0900", "\u097f"),
    ("Japanese script", "\u3040", "\u30ff"),
    ("Chinese script", "\u4e00", "\u9fff"),
    ("Korean script", "\uac00", "\ud7af"),
)
_SHARE_OF_SCRIPT = 0.3


def foreign_language(text: str) -> str | None:
    """Return the language of a text that is not English; None for English and for no verdict."""
    letters = [c for c in text if c.isalpha()]
    for name, low, high in _SCRIPTS:
        if letters and sum(low <= c <= high for c in letters) > _SHARE_OF_SCRIPT * len(
            letters
        ):
            return name
    words = [word.lower() for word in _WORDS.findall(text)]
    if len(words) < _LEAST_WORDS:
        return None
    trade = {
        name: frozenset(glossary(name)) - _ALSO_ENGLISH - _ENGLISH for name in LANGUAGES
    }
    counts = {
        name: sum(word in table or word in trade.get(name, ()) for word in words)
        for name, table in _TABLE.items()
    }
    english = counts.pop("English")
    name, most = max(counts.items(), key=lambda item: item[1])
    return name if most >= 2 and most > english else None
