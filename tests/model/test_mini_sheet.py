"""The words of the sheets that the docs show are words that Mini and its editor were taught."""

from engine.mini import sheet, unknown_words


def test_what_the_sheets_ask_for_is_known() -> None:
    asked = [*sheet.PROMPTS, *(prompt for prompt, _ in sheet.CHANGES)]
    assert {word for prompt in asked for word in unknown_words(prompt)} == set()
    assert {word for _, words in sheet.CHANGES for word in unknown_words(words, edits=True)} == set()
    assert len(set(sheet.PROMPTS)) == len(set(sheet.CHANGES)) == 24
