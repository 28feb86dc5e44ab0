"""Whether this process is about to leave."""

import threading

ending = threading.Event()  # no child starts any more, and what the children write is not shown
