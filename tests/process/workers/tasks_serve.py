"""The tasks under `serve`."""

from tasks import handle

from processpool import serve

serve(handle)
