"""The Python interface: what `import nmt` offers, each name imported when it is first used."""
