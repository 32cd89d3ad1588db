"""OpenAI's client for Python, unmodified.

Reads what to do as JSON from its standard input, and prints what it saw as JSON.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import openai
from pydantic import BaseModel


class Report(BaseModel):
    messages: int
    words: str


class Entry(BaseModel):
    call: str


def user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


def plain(client: openai.OpenAI, content: str) -> dict[str, Any]:
    """A plain answer, with what came beside OpenAI's fields."""
    raw = client.chat.completions.with_raw_response.create(
        model="strict", messages=[user(content)], extra_body={"sbp": {}}
    )
    completion = raw.parse()
    return {
        "text": completion.choices[0].message.content,
        "sbp": completion.model_extra["sbp"],
        "session_id": raw.headers["x-sbp-session-id"],
        "session_token": raw.headers["x-session-token"],
    }


def streamed(client: openai.OpenAI, content: str) -> dict[str, Any]:
    """A streamed answer, read as most do it: each chunk has a choice."""
    text, sbp = "", None
    with client.chat.completions.create(
        model="strict",
        messages=[user(content)],
        extra_body={"sbp": {}},
        stream=True,
    ) as stream:
        for chunk in stream:
            text += chunk.choices[0].delta.content or ""
            sbp = (chunk.model_extra or {}).get("sbp", sbp)
        headers = stream.response.headers
    return {
        "text": text,
        "sbp": sbp,
        "session_id": headers["x-sbp-session-id"],
        "session_token": headers["x-session-token"],
    }


def report(client: openai.OpenAI) -> dict[str, Any]:
    """An answer in the form of a schema, plain and as a stream."""
    asking: dict[str, Any] = {
        "model": "strict",
        "messages": [user("Report.")],
        "response_format": Report,
        "extra_body": {"sbp": {"force_new_session": True}},
    }
    parsed = client.chat.completions.parse(**asking).choices[0].message.parsed
    with client.chat.completions.stream(**asking) as stream:
        final = stream.get_final_completion().choices[0].message.parsed
    return {"parsed": parsed.model_dump(), "streamed": final.model_dump()}


def tools(client: openai.OpenAI, questions: list[str], stream: bool) -> list[str]:
    """A loop of tools for each question; all that was said is sent each time."""
    messages: list[Any] = []
    asking: dict[str, Any] = {
        "model": "strict",
        "messages": messages,
        "tools": [openai.pydantic_function_tool(Entry, name=name) for name in ("look", "note")],
        "extra_body": {"sbp": {}},
    }

    def ask() -> Any:
        if not stream:
            return client.chat.completions.parse(**asking).choices[0].message
        with client.chat.completions.stream(**asking) as events:
            return events.get_final_completion().choices[0].message

    answers = []
    for question in questions:
        messages.append(user(question))
        message = ask()
        while message.tool_calls:
            messages.append(message)
            for call in message.tool_calls:
                entry = call.function.parsed_arguments
                content = f"{entry.call} is done"
                messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
            message = ask()
        messages.append(message)
        answers.append(message.content)
    return answers


def errors(client: openai.OpenAI, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is raised for each of these requests, plain and as a stream."""
    return [
        raised(client, stream=stream, **request)
        for request in requests
        for stream in (False, True)
    ]


def raised(
    client: openai.OpenAI,
    content: str,
    sbp: dict[str, Any],
    headers: dict[str, str],
    stream: bool,
) -> dict[str, Any]:
    try:
        client.chat.completions.create(
            model="strict",
            messages=[user(content)],
            extra_body={"sbp": sbp},
            extra_headers=headers,
            stream=stream,
        )
    except openai.APIStatusError as error:
        return {"class": type(error).__name__, "status": error.status_code, "code": error.code}
    return {"class": "nothing was raised"}


DEEDS: dict[str, Callable[..., Any]] = {
    deed.__name__: deed for deed in (plain, streamed, report, tools, errors)
}


def main() -> None:
    order = json.load(sys.stdin)
    client = openai.OpenAI(
        base_url=order["url"] + "/v1",
        api_key="sk-of-nobody",
        default_headers={"X-Agent-ID": order["agent"]},
        max_retries=0,
    )
    json.dump(DEEDS[order["deed"]](client, **order["with"]), sys.stdout)


main()
