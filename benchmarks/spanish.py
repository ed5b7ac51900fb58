"""Accuracy on questions in Spanish, made up here:  python benchmarks/spanish.py

A question is about one of four things and asks one of three: 12 labels. Each is said in many ways, some of them rare;
half of the questions mention another thing too, and accents are left out and letters mixed up as people do. Runs the
pipeline with the default model, whose encoder read English, and with one from random weights, with three seeds each;
finished ones are skipped. Writes reports/benchmarks/spanish.md and .json.
"""

import csv
import random
import sys
import unicodedata
from itertools import product
from pathlib import Path

from accuracy import Goal, Report, compare

FILE = Path("data/processed/spanish.csv")
ROWS = 1_000
MENTIONS, BARE, MISSPELT = 0.5, 0.3, 0.2  # shares of the questions
THINGS = {
    "agua": "el recibo del agua;el agua de mi piso;la cañería;el contador del agua;la fuga del baño;el grifo del patio",
    "basura": "la recogida de basura;el contenedor;los muebles viejos;el camión de la basura;el reciclaje;los cartones",
    "autobús": "el autobús;la línea 7;el abono de transporte;la parada de mi calle;el bono de diez viajes;el tranvía",
    "jardín": "el árbol de la acera;el parque infantil;los columpios;el césped de la plaza;la fuente;los bancos",
}
ASKED = {
    "avería": "no funciona {};está dañado {};se rompió {};{} lleva días así, hecho un desastre;otra vez igual con {};"
    "nadie ha reparado {};quiero dar parte de {}, que está fatal",
    "plazo": "¿cuándo vienen por {}?;¿hasta qué día tengo para {}?;¿a qué hora toca {}?;llevo un mes esperando por {};"
    "¿cuánto tardará lo de {}?;¿falta mucho para {}?;¿sigue sin fecha {}?",
    "pago": "¿cuánto cuesta {}?;me cobraron dos veces {};¿por qué subió {}?;quiero que me devuelvan lo de {};"
    "no pienso pagar {};¿hay descuento de jubilado con {}?;el importe de {} está mal",
}
OPENINGS = ";;Buenos días:;Hola,;Oigan,;Perdone,;Soy vecina del barrio;Por favor,;Señores:;Mire usted,"
OTHERS = "lo de {} ya lo arreglé,;no es por {}, es que;mi vecino pregunta por {}, yo no:;sobre {} ya me contestaron;"
"aparte de {},"
CLOSINGS = ";;Gracias;Un saludo;Espero su respuesta;Quedo atenta;¡Ya está bien!;Atentamente, Begoña Núñez"

REPORT = Report(
    "spanish",
    "python benchmarks/spanish.py",
    about=[
        "# Spanish",
        f"{ROWS:,} questions to a town hall, made up by a program: 12 labels, four things by three requests. Half of "
        "the questions also mention another thing, three in ten lack their accents, and one in five has letters mixed "
        "up. Tiny's encoder and vocabulary are English. Such rows are simpler than what people write: they show "
        "whether a language works at all, not how well.",
    ],
    goals=[
        Goal(model, f"{figure}_served", least=f"{figure}_baseline")
        for model, figure in product(("tiny", "scratch"), ("accuracy", "macro_f1"))
    ],
    scored="The test split was scored once for each seed.",
)


def write_questions(file: Path) -> None:
    """The same ones each time."""
    chance = random.Random(0)  # noqa: S311 - no secret

    def one_of(ways: str) -> str:
        """The first ones more often."""
        each = ways.split(";")
        return chance.choices(each, [1 / (place + 1) for place in range(len(each))])[0]

    questions: dict[str, str] = {}
    while len(questions) < ROWS:  # those said before are drawn again
        thing, asked = chance.choice([*product(THINGS, ASKED)])
        other = chance.choice([each for each in THINGS if each != thing])
        mentioned = one_of(OTHERS).format(one_of(THINGS[other])) if chance.random() < MENTIONS else ""
        said = one_of(ASKED[asked]).format(one_of(THINGS[thing]))
        text = " ".join(filter(None, [one_of(OPENINGS), mentioned, said, one_of(CLOSINGS)]))
        questions.setdefault(_typed(text, chance), f"{thing}: {asked}")
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerows([("text", "label"), *questions.items()])


def _typed(text: str, chance: random.Random) -> str:
    if chance.random() < BARE:
        text = "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))
    if chance.random() < MISSPELT:
        at = chance.randrange(len(text) - 1)
        text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text


def main() -> int:
    """Run both models and write the report."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    write_questions(FILE)
    data = ["data=csv", f"data.path={FILE}", "data.name=spanish", "data.test_share=0.4"]
    return compare(REPORT, {"tiny": ["model=tiny"], "scratch": ["model=scratch"]}, data)


if __name__ == "__main__":
    sys.exit(main())
