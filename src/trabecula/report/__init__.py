"""From answers to numbers, files and pages: `numbers` computes, `files` writes, `page` shows."""
