"""What is claimed of fits to networks of full rank, and of what these have learned."""

import numpy as np

from . import checks

SOURCE, LEARNING = "Valente, Pillow, Ostojic 2022", "Schuessler et al. 2020"
#: A difference counts beyond so many of its standard errors.
ERRORS = 3.0
#: Published R^2 of fits to a network trained on delayed match-to-sample, ranks 1 to 5; and on the context task.
PUBLISHED = {"full-dms": "0.63 0.94 0.99 0.99 0.99 for ranks 1 to 5", "full-context": "0.92 to 0.97"}
#: What is asked of rank 2: what was published for it, and the least published.
LEAST_R2 = {"full-dms": 0.94, "full-context": 0.92}
#: Of the root mean square of x: less counts as forgotten.
FORGOTTEN = 0.01


def statements(found, portraits):
    """All lines of the section."""
    yield from _teacher(found)
    for name, curve in found.curves.items():
        yield from _by_rank(name, curve)
    yield from _stages(found)
    yield from _fit(found, portraits)
    yield from _subsets(found.subsets)
    yield from _learned(found.learned, found.trained.options["parametrisation"]["gain"])
    yield from _independent(found.learned)


def same(a, b, errors=ERRORS):
    """Whether two shares agree within so many standard errors of their difference."""
    return bool(abs(a.share - b.share) <= errors * np.hypot(a.error, b.error))


def worse(a, b, errors=ERRORS):
    """Whether the share of a is below that of b by more than so many standard errors."""
    return bool(b.share - a.share > errors * np.hypot(a.error, b.error))


def by_chance(a, errors=ERRORS):
    """Whether a share is no larger than that of one answer for all, within so many standard errors."""
    return bool(a.share - a.chance <= errors * a.error)


def _teacher(found):
    trained = found.trained
    error = np.hypot(found.measured.error, trained.test_error)
    yield checks.claim(
        "right decisions of the teacher on fresh trials, with its private noise",
        abs(found.measured.share - trained.test_accuracy) <= ERRORS * error,
        found.measured, f"{trained.test_accuracy:.4f} ± {trained.test_error:.4f}, as the training measured",
        "N units simulated",
    )  # fmt: skip


def _by_rank(name, curve):
    for k, rank in enumerate(curve.ranks):
        fit, cut = curve.fits[k].r2, curve.truncated[k]
        value = f"R^2 {fit}, right {curve.fit_accuracy[k].share:.3f} ± {curve.fit_accuracy[k].error:.3f}"
        beside = f"J cut to the rank: R^2 {cut.r2:.3f} ± {cut.error:.1g}, right {curve.truncated_accuracy[k].share:.3f}"
        yield checks.claim(f"{name}: fit of rank {rank}", None, value, beside, f"published: {PUBLISHED[name]}")
    k, teacher = curve.ranks.index(2), curve.teacher_accuracy
    fit = curve.fits[k].r2
    yield checks.claim(
        f"{name}: rank 2 explains held-out rates, running free, at least as well as published",
        fit.r2 - ERRORS * fit.error > LEAST_R2[name], fit,
        f"above {LEAST_R2[name]:g} by {ERRORS:g} standard errors", SOURCE,
    )  # fmt: skip
    yield checks.claim(
        f"{name}: and decides as well as the teacher", same(curve.fit_accuracy[k], teacher), curve.fit_accuracy[k],
        teacher, SOURCE,
    )  # fmt: skip
    best = max(curve.truncated_accuracy, key=lambda a: a.share)
    yield checks.claim(
        f"{name}: J cut to any of these ranks does not do the task", worse(best, teacher), f"at best {best}",
        f"below {teacher.share:.3f} by {ERRORS:g} standard errors", SOURCE,
    )  # fmt: skip


def _stages(found):
    curve = found.curves["full-dms"]
    for rank, fit in zip(curve.ranks, curve.fits, strict=True):
        value = "; ".join(f"{stage.name}: {stage.text}" for stage in fit.stages[1:]) or "the closed form alone"
        yield checks.claim(f"stages of the fit of rank {rank}", None, value, "", "the fit")
    low = curve.fit_accuracy[0]
    yield checks.claim(
        "planted: rank 1 is too low for the task", worse(low, curve.teacher_accuracy), low,
        f"below {curve.teacher_accuracy.share:.3f} by {ERRORS:g} standard errors", SOURCE,
    )  # fmt: skip
    ours, theirs = found.fit.r2, found.shuffled.r2
    yield sign_test(
        "planted: with the inputs of other trials the fit of rank 2 fails",
        np.count_nonzero(theirs.per_trial < ours.per_trial), len(ours.per_trial), f"R^2 {theirs}; worse",
        "inputs shuffled over trials",
    )  # fmt: skip


def sign_test(text, count, total, words, source):
    """That something holds on more trials than half of them, beyond chance."""
    most = total / 2 + ERRORS * np.sqrt(total) / 2
    expected = f"more than {most:.0f}: half of them and {ERRORS:g} standard deviations"
    return checks.claim(text, count > most, f"{words} on {count} of {total} trials", expected, source)


def _fit(found, portraits):
    stable = len(portraits[0].fixed_points.stable)
    near = np.sqrt(((found.ends[:, None] - found.fit_ends) ** 2).mean(-1))
    apart = max(near.min(0).max(), near.min(1).max())
    size = np.sqrt((found.ends**2).mean())
    # what the fit misses of the activity it may miss of these states
    allowed = ERRORS * np.sqrt(1 - found.fit.r2.r2) * size
    yield checks.claim(
        "left without input where trials end, teacher and fit settle in the same states",
        apart < allowed,
        f"at most {apart:.2g} apart in x; {len(found.ends)} of the teacher, stable points of the fit: {stable}",
        f"below {allowed:.2g} (from R^2; their size is {size:.2g})", "N units simulated; proved complete",
    )  # fmt: skip


def _subsets(found):
    for k, count in enumerate(found.neurons):
        (r2, r2_error), (right, right_error) = (
            [x[k] for x in found.mean(key)] for key in ("r2", "accuracy")
        )  # fmt: skip
        yield checks.claim(
            f"{count} of {found.size} neurons recorded, {found.r2.shape[1]} random subsets: fit of rank {found.rank}",
            None, f"R^2 {r2:.3f} ± {r2_error:.1g}, right {right:.3f} ± {right_error:.1g}",
            f"the recorded rates: right {found.mean('recorded_accuracy')[0][k]:.3f}", SOURCE,
        )  # fmt: skip
    k = int(np.flatnonzero(found.neurons == found.size // 2)[0])
    lowest = found.accuracy[k].min()
    yield checks.claim(
        "half of the neurons are enough: every such fit decides as the teacher",
        found.teacher_accuracy.share - lowest <= ERRORS * np.sqrt(2) * found.teacher_accuracy.error,
        f"right {lowest:.3f} at least", found.teacher_accuracy, SOURCE,
    )  # fmt: skip


def _learned(found, gain):
    s = found.structure
    yield checks.claim(
        "the random J0 before the training: g", abs(s.g - gain) <= 5 * s.g_error and s.looks_random,
        f"{s.g:.4f} ± {s.g_error:.1g}; J0 looks like independent entries: {s.looks_random}",
        f"{gain:g}, within 5 errors", LEARNING,
    )  # fmt: skip
    yield checks.claim(
        "rank of the change J - J0", None, found.refusal or f"{s.significant} significant singular values",
        f"two singular values hold {s.explained[1]:.1%} of its squared norm", LEARNING,
    )  # fmt: skip
    one, two = found.beside[0], found.beside[1]
    yield checks.claim(
        "J0 and the change cut to rank 2 do the task; cut to rank 1 not", by_task(two) and not by_task(one),
        f"rank 2: {two}; rank 1: {one}", f"all, and below by {ERRORS:g} standard errors", LEARNING,
    )  # fmt: skip
    best = max(found.alone, key=lambda a: a.share)
    yield checks.claim(
        "without J0 the change, of rank 1 to 3, decides by chance", by_chance(best), best, f"{best.chance:.2f}",
        LEARNING,
    )  # fmt: skip
    name, z = s.largest
    yield checks.claim(
        "the change depends on J0", not s.independent, f"p {_p(s.p_value)}; largest: {name}, z = {z:.3g}",
        f"found at a level of {s.level:g}: the theory of structure independent of J0 leaves that out", LEARNING,
    )  # fmt: skip


def by_task(a):
    """Whether decisions are right within the errors of their share."""
    return bool(1 - a.share <= ERRORS * a.error)


def _p(value):
    return "< 1e-12" if value < 1e-12 else f"= {value:.2g}"


def _independent(found):
    s, states = found.structure, found.states
    outliers = s.outliers
    gap = max((float(np.abs(outliers.roots - x).min()) for x in outliers.eigenvalues), default=0.0)
    values = ", ".join(f"{x:.3f}" for x in np.sort(outliers.eigenvalues.real)[::-1])
    yield checks.claim(
        "eigenvalues of J beyond the bulk are the roots of the determinant, J0 included",
        len(outliers.eigenvalues) == len(outliers.roots) > 0 and gap < 1e-9, f"{values}; largest difference {gap:.1g}",
        f"as many, the same (1e-9); by the overlap alone {len(outliers.by_overlap)}", LEARNING,
    )  # fmt: skip
    p, level = found.p_values, s.level / len(found.p_values)
    yield checks.claim(
        f"the same change beside {len(p)} other random J0: independent of them", p.min() > level,
        f"p from {p.min():.2g}", f"above {level:.1g}", LEARNING,
    )  # fmt: skip
    fresh = max((nets[1] for nets in found.fresh), key=lambda a: a.share)
    yield checks.claim(
        "and then it does not do the task", by_chance(fresh), f"at best {fresh}", f"{fresh.chance:.2f}", LEARNING
    )
    yield checks.claim(
        "the mean-field theory of independent structure: no memory, x = 0 is the one state at rest",
        len(states) == len(states.stable) == 1 and not np.abs(states[0].kappa).max() > 0,
        f"{len(states)} state ({states.status.value})", "1, stable", "mean-field theory",
    )  # fmt: skip
    few, many = (np.count_nonzero(left < FORGOTTEN) for left in (found.left, found.left_large))
    yield checks.claim(
        f"networks of {found.large} neurons drawn from the recovered statistics forget, as it says",
        many == len(found.left_large), f"{many} of {len(found.left_large)}",
        f"all; at the size of the teacher, with its own m and n: {few} of {len(found.left)}, where chance moves "
        "eigenvalues across 1", "N units simulated",
    )  # fmt: skip
