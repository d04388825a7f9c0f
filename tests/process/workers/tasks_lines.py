"""The tasks as a foreign program: one line in, one line out."""

import sys

from tasks import handle

for line in sys.stdin:
    sys.stdout.write(handle(line[:-1]) + "\n")
    sys.stdout.flush()
