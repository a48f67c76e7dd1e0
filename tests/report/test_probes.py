"""The hook of the probes' sections."""

from __future__ import annotations

from dataclasses import replace

from ablate.report import Section, probes


def with_probes(digits, *recorded):
    return replace(digits, results=tuple(replace(r, probes=recorded) for r in digits.results))


def test_what_was_measured_and_can_be_drawn_has_a_section(digits, monkeypatch):
    made = Section("probe-x", "X")
    monkeypatch.setitem(probes.SECTIONS, "x", lambda material: made)
    monkeypatch.setitem(probes.SECTIONS, "nothing", lambda material: None)
    material = with_probes(digits, '{"every":1,"name":"x"}', "nothing", "unknown")
    assert list(probes.sections(material)) == [made]
    assert list(probes.sections(digits)) == []


def test_a_probe_that_cannot_be_drawn_costs_its_section_only(digits, monkeypatch):
    def broken(material):
        return material.arrays("plain-0")["missing"]

    monkeypatch.setitem(probes.SECTIONS, "x", broken)
    monkeypatch.setitem(probes.SECTIONS, "y", lambda material: Section("probe-y", "Y"))
    first, second = probes.sections(with_probes(digits, "x", "y"))
    assert "cannot be drawn (KeyError: 'missing')" in first.text[0]
    assert second.title == "Y"
