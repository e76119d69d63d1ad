"""What became of the trials of a category, and the one table of all categories."""

import dataclasses

COLUMNS = ("trials", "detected", "harmless", "unnamed", "silent", "traceback")
# Of these there may be none: a line without the file or the remedy, another result without a word, a traceback.
BAD = ("unnamed", "silent", "traceback")


@dataclasses.dataclass
class Tally:
    """The counts of a category, and what its bad trials were.

    - detected: an exit status other than 0 and one line that names the file that is wrong and what to do;
    - harmless: the result is what it would have been, byte for byte but for times.
    """

    category: str
    counts: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))
    bad: list[str] = dataclasses.field(default_factory=list)

    def add(self, verdict, story=""):
        self.counts["trials"] += 1
        self.counts[verdict] += 1
        if verdict in BAD:
            self.bad.append(f"{verdict}: {story}")

    def check(self):
        """Fail if there are bad trials, with the first of each kind of each file."""
        assert not self.bad, f"{self.category}: {len(self.bad)} of {self.counts['trials']} trials\n" + "\n".join(
            self.bad[:12]
        )


def table(tallies):
    """Markdown: a row per category, in their order, those of one name added up."""
    rows = {}
    for category, counts in tallies:
        row = rows.setdefault(category, dict.fromkeys(COLUMNS, 0))
        for column in COLUMNS:
            row[column] += counts[column]
    rows = {category: row for category, row in rows.items() if row["trials"]}
    rows["all"] = {column: sum(row[column] for row in rows.values()) for column in COLUMNS}
    width = max(map(len, rows))
    lines = [f"| {'category':{width}} | " + " | ".join(COLUMNS) + " |", f"|:{'-' * width}-|" + "-:|" * len(COLUMNS)]
    for category, row in rows.items():
        cells = (f"{row[column]:{len(column)},}" for column in COLUMNS)
        lines.append(f"| {category:{width}} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
