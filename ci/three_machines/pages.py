"""The commands of the documentation, as they stand in its fenced blocks."""

import pathlib
import re

from .isolation import Broken

FENCE = re.compile(r"^```(\w*)$")
HEADING = re.compile(r"^#+ (.*)$")


class Block:
    """A fenced block under a heading."""

    def __init__(self, heading, language, text):
        self.heading, self.language, self.text = heading, language, text
        self.taken = False


class Page:
    """A page, and which of its blocks were taken."""

    def __init__(self, path):
        self.path, self.blocks = pathlib.Path(path), []
        heading, language, lines = "", None, []
        for line in self.path.read_text().splitlines():
            fence = FENCE.match(line)
            if language is None and fence:
                language, lines = fence.group(1), []
            elif language is not None and fence:
                self.blocks.append(Block(heading, language, "\n".join(lines)))
                language = None
            elif language is not None:
                lines.append(line)
            elif HEADING.match(line):
                heading = HEADING.match(line).group(1)

    def commands(self, heading, beginning, replaced=None, language="sh"):
        """The one block under a heading that begins so, with what a reader replaces replaced."""
        found = [block for block in self.blocks if block.heading == heading
                 and block.language == language and block.text.startswith(beginning)]
        if len(found) != 1:
            raise Broken(f"{self.path}: {len(found)} blocks under {heading!r} begin with {beginning!r}")
        found[0].taken = True
        text = found[0].text
        for old, new in (replaced or {}).items():
            # `n1` is no part of `in1`, but it is one of `n1.example` and of `/n1.key`.
            whole = re.compile(rf"(?<![\w-]){re.escape(old)}(?![\w-])")
            if not whole.search(text):
                raise Broken(f"{self.path}: there is no {old!r} to replace in the block {beginning!r}")
            text = whole.sub(lambda _, new=new: new, text)
        return text

    def left(self, headings):
        """The commands under these headings that nobody took."""
        return [f"{block.heading}: {block.text.splitlines()[0]}" for block in self.blocks
                if block.heading in headings and block.language == "sh" and not block.taken]
