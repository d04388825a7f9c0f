"""One fact about Linux or CPython in each module; nothing here knows of pools."""
