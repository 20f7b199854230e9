"""One bar for everything that may take long: on stderr, and only once it has taken long."""

#: Seconds after which a bar shows itself.
PATIENCE = 2.0


def progress_bar(total, unit, progress=None):
    """A bar of ``total`` steps with ``.update(n)``, as a context; progress None: on a terminal only."""
    from tqdm import tqdm

    silent = None if progress is None else not progress
    return tqdm(total=total, unit=unit, delay=PATIENCE, leave=False, dynamic_ncols=True, disable=silent)


def tracked(items, unit):
    """The items of a sequence, with a bar that counts them."""
    with progress_bar(len(items), unit) as bar:
        for item in items:
            yield item
            bar.update()
