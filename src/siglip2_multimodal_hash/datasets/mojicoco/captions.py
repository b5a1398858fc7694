"""Captions in the manner of COCO's: each names only some of the objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numpy.random import Generator

from siglip2_multimodal_hash.datasets.mojicoco.artwork import ARTWORKS
from siglip2_multimodal_hash.datasets.mojicoco.categories import BY_ID, PERSON
from siglip2_multimodal_hash.datasets.mojicoco.draws import Draws
from siglip2_multimodal_hash.datasets.mojicoco.layout import Pairing
from siglip2_multimodal_hash.datasets.mojicoco.objects import PlacedObject
from siglip2_multimodal_hash.datasets.mojicoco.themes import THEMES, Theme
from siglip2_multimodal_hash.datasets.mojicoco.vocabulary import (
    ALONE,
    ALT_TEXTS,
    NEAR,
    NOUNS,
    PAIRS,
    SMALL_MANNERS,
    TRIPLES,
    VERBS,
    Noun,
    article,
    counted,
)

if TYPE_CHECKING:
    from siglip2_multimodal_hash.datasets.mojicoco.scenes import Scene

CAPTIONS = 5

VIEW_ONLY = 0.05
"""Probability that a caption speaks of the place alone."""

_NAMED_WEIGHTS = (0.40, 0.42, 0.18)
_THEMES: dict[str, Theme] = {theme.name: theme for theme in THEMES}


@dataclass(frozen=True)
class _Group:
    """The visible objects of one category, the most salient first."""

    category_id: int
    members: tuple[int, ...]
    """Their positions among the scene's objects."""
    salience: float
    """Square root of the largest one's visible area, in pixels of the canvas."""

    @property
    def count(self) -> int:
        return len(self.members)


def _groups(objects: Sequence[PlacedObject]) -> list[_Group]:
    members: dict[int, list[tuple[float, int]]] = {}
    for position, thing in enumerate(objects):
        if thing.category_id:
            salience = thing.size * thing.visible
            members.setdefault(thing.category_id, []).append((-salience, position))
    groups = []
    for category_id, found in members.items():
        found.sort()
        groups.append(_Group(category_id, tuple(i for _, i in found), -found[0][0]))
    return sorted(groups, key=lambda group: -group.salience)


def write_captions(
    theme: Theme, objects: Sequence[PlacedObject], pairing: Pairing | None, draws: Draws
) -> tuple[str, ...]:
    """Five captions; what none of the five writers noticed is named by none of them."""
    groups = _groups(objects)
    noticed = [group for group in groups if draws.chance(_notice(group))]
    if not noticed and groups and draws.chance(0.8):
        noticed = groups[:1]
    if pairing is not None:
        noticed_ids = {group.category_id for group in noticed}
        parts = {objects[i].category_id for i in (pairing.subject, pairing.object)}
        if not parts <= noticed_ids:
            pairing = None
    return tuple(_caption(theme, objects, noticed, pairing, draws) for _ in range(CAPTIONS))


def _notice(group: _Group) -> float:
    bonus = 0.2 if group.category_id == PERSON else 0.0
    return min(0.95, 0.12 + group.salience / 95 + bonus + 0.05 * (group.count - 1))


def _caption(
    theme: Theme,
    objects: Sequence[PlacedObject],
    noticed: Sequence[_Group],
    pairing: Pairing | None,
    draws: Draws,
) -> str:
    if not noticed or draws.chance(VIEW_ONLY):
        return draws.pick(theme.views)
    count = 1 + draws.index(_NAMED_WEIGHTS)
    chosen = [noticed[i] for i in draws.distinct([g.salience for g in noticed], count)]
    chosen.sort(key=lambda group: group.category_id != PERSON)
    words = [_phrase(group, objects, draws) for group in chosen]
    if pairing is not None and count >= 2 and draws.chance(0.8):
        by_id = {group.category_id: group for group in noticed}
        one, other = (by_id[objects[i].category_id] for i in (pairing.subject, pairing.object))
        if one.count == other.count == 1:
            subject, target = (_phrase(group, objects, draws) for group in (one, other))
            template = draws.pick(
                ("{A} {verb} {b} {place}.", "{A} {verb} {b}.", "{A} {be} {verb} {b}.")
            )
            return _filled(
                template,
                subject,
                b=target,
                verb=pairing.verb,
                be="is",
                place=draws.pick(theme.places),
            )
    first = chosen[0]
    template = draws.pick((ALONE, PAIRS, TRIPLES)[len(chosen) - 1])
    pronoun = _pronoun(words[0], first)
    if "{it}" in template and not pronoun:
        template = ALONE[0]
    return _filled(
        template,
        words[0],
        b=words[1] if len(words) > 1 else "",
        c=words[2] if len(words) > 2 else "",
        doing=_doing(first, objects, draws),
        be="is" if first.count == 1 else "are",
        it=pronoun,
        near=draws.pick(NEAR),
        place=_place(theme, first, draws),
    )


def _filled(template: str, subject: str, **words: str) -> str:
    sentence = template.format(a=subject, A=subject[0].upper() + subject[1:], **words)
    return sentence


def _pronoun(phrase: str, group: _Group) -> str:
    """The start of "himself" and the like; empty where none is sure to be right."""
    if group.count > 1:
        return ""
    if phrase.endswith((" woman", " girl", " lady", " princess")):
        return "her"
    if phrase.endswith((" man", " boy", " guy")):
        return "him"
    return "" if group.category_id == PERSON else "it"


def _place(theme: Theme, group: _Group, draws: Draws) -> str:
    small = BY_ID[group.category_id].manner in SMALL_MANNERS
    return draws.pick(theme.spots if small and draws.chance(0.6) else theme.places)


def _doing(group: _Group, objects: Sequence[PlacedObject], draws: Draws) -> str:
    activity = ARTWORKS[objects[group.members[0]].artwork].activity
    if activity and group.count == 1 and draws.chance(0.8):
        return activity
    return draws.pick(VERBS[BY_ID[group.category_id].manner])


def _phrase(group: _Group, objects: Sequence[PlacedObject], draws: Draws) -> str:
    """A noun phrase for a group, with an article or a count."""
    first = objects[group.members[0]]
    if group.count == 1:
        singular, plural = _noun(first, draws)
        if draws.chance(0.12):
            size = ("small", "little") if first.size < 34 else ("large", "big")
            return article(f"{draws.pick(size)} {singular}")
        return article(singular)
    if group.category_id == PERSON and group.count == 2 and draws.chance(0.5):
        one, other = (ARTWORKS[objects[i].artwork].nouns[0] for i in group.members)
        if one != other:
            return f"{article(one[0])} and {article(other[0])}"
    singular, plural = _shared_noun(group, objects, draws)
    if draws.chance(0.6):
        return counted(singular, plural, group.count)
    if group.count == 2:
        return f"{draws.pick(('a couple of', 'a pair of', 'some'))} {plural}"
    return f"{draws.pick(('a group of', 'a bunch of', 'several', 'some'))} {plural}"


def _noun(thing: PlacedObject, draws: Draws) -> Noun:
    common = NOUNS[thing.category_id]
    specific = ARTWORKS[thing.artwork].nouns
    if thing.category_id == PERSON:
        return draws.pick(specific) if draws.chance(0.5) else specific[0]
    if specific and draws.chance(0.3):
        return draws.pick(specific)
    return common[0] if draws.chance(0.6) else draws.pick(common)


def _shared_noun(group: _Group, objects: Sequence[PlacedObject], draws: Draws) -> Noun:
    """A noun that is right for every member of a group."""
    kinds = [set(ARTWORKS[objects[i].artwork].nouns) for i in group.members]
    shared = sorted(set.intersection(*kinds))
    if shared and draws.chance(0.6):
        return draws.pick(shared)
    common = NOUNS[group.category_id]
    return common[0] if draws.chance(0.7) else draws.pick(common)


def alt_text(scene: "Scene", rng: Generator) -> str:
    """A text like those that towers are trained on: lower case, up to four things by name.

    The common name of a category is used more often than in captions.
    """
    draws = Draws(rng)
    groups = _groups(scene.objects)
    theme = _THEMES[scene.theme]
    if not groups:
        return draws.pick(theme.views).lower()
    count = min(len(groups), 1 + draws.index((0.2, 0.3, 0.3, 0.2)))
    order = draws.distinct([group.salience for group in groups], count)
    names = [_alt_phrase(groups[i], scene.objects, draws) for i in order]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return draws.pick(ALT_TEXTS).format(list=listed, place=draws.pick(theme.places))


def _alt_phrase(group: _Group, objects: Sequence[PlacedObject], draws: Draws) -> str:
    name = BY_ID[group.category_id].name
    if group.count == 1:
        singular = name if draws.chance(0.6) else _noun(objects[group.members[0]], draws)[0]
        return article(singular)
    singular, plural = (
        NOUNS[group.category_id][0] if draws.chance(0.6) else _shared_noun(group, objects, draws)
    )
    return counted(singular, plural, group.count)
