"""`make event-ruler`: what AWS's own Event Ruler says of the notices' rules, for every record of the corpus.

The tests' evaluator of event patterns was written here, from the documentation. Event Ruler is the library that EventBridge
matches with (https://github.com/aws/event-ruler). Its verdicts are kept in tests/unit/corpus/event-ruler.json, so that the tests
compare with them where there is no Java. Needs Java 11 or later and Maven, which fetches the library from Maven Central.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.unit.audit_corpus import RECORDED, SUBJECT, cases, digest, documented_patterns, event_of, rules

HERE = Path(__file__).parent


def main() -> None:
    """Ask Event Ruler and keep what it says."""
    names = [name for name, _, _ in cases()]
    own, documented = rules(SUBJECT), documented_patterns()
    with tempfile.TemporaryDirectory() as folder:
        question, classpath = Path(folder, "question.json"), Path(folder, "classpath")
        events = [event_of(record) for _, record, _ in cases()]
        example = documented[0][1]
        patterns = [pattern for _, pattern in own] + [pattern for pattern, _ in documented]
        question.write_text(json.dumps({"rules": patterns, "events": [*events, example]}))
        pom = ["-f", str(HERE / "pom.xml"), "dependency:build-classpath", f"-Dmdep.outputFile={classpath}"]
        _run(["mvn", "--quiet", "--batch-mode", *pom])
        answer: list[Any] = json.loads(
            _run(["java", "-cp", classpath.read_text().strip(), str(HERE / "Verdicts.java"), str(question)])
        )
    recorded = {
        "ruler": "software.amazon.event.ruler:event-ruler:1.8.1",
        "corpus": digest(),
        "rules": [
            {
                "pattern": pattern,
                "complexity": verdict["complexity"],
                "matches": [names[number] for number in verdict["matches"] if number < len(names)],
            }
            for (_, pattern), verdict in zip(own, answer, strict=False)
        ],
        "documented": [
            {"pattern": pattern, "matches": len(names) in verdict["matches"]}
            for (pattern, _), verdict in zip(documented, answer[len(own) :], strict=True)
        ],
    }
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")
    sys.stdout.write(
        f"{RECORDED.name}: {len(own)} rules and {len(documented)} documented patterns, {len(names)} records\n"
    )


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
