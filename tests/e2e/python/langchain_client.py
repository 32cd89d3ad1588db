"""LangChain for Python, unmodified.

Reads what to do as JSON from its standard input, and prints what it saw as JSON.
"""

import json
import sys
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def look(call: str) -> str:
    """Looks something up."""
    return f"{call} is done"


@tool
def note(call: str) -> str:
    """Notes something down."""
    return f"{call} is done"


TOOLS = {each.name: each for each in (look, note)}


def ask(model: Any, messages: list[BaseMessage], stream: bool) -> Any:
    """One call with all that was said; the pieces of a stream are put together."""
    if not stream:
        return model.invoke(messages)
    pieces = list(model.stream(messages))
    return sum(pieces[1:], pieces[0])


def converse(
    model: ChatOpenAI, system: str | None, questions: list[str], stream: bool
) -> list[str]:
    """Asks one question after the other, and answers the model's calls of tools."""
    calling = model.bind_tools(list(TOOLS.values()))
    messages: list[BaseMessage] = [] if system is None else [SystemMessage(system)]
    answers = []
    for question in questions:
        messages.append(HumanMessage(question))
        message = ask(calling, messages, stream)
        while message.tool_calls:
            messages.append(message)
            for call in message.tool_calls:
                result = TOOLS[call["name"]].invoke(call["args"])
                messages.append(ToolMessage(result, tool_call_id=call["id"]))
            message = ask(calling, messages, stream)
        messages.append(message)
        answers.append(message.text)
    return answers


DEEDS = {"converse": converse}


def main() -> None:
    order = json.load(sys.stdin)
    model = ChatOpenAI(
        model="strict",
        base_url=order["url"] + "/v1",
        api_key="sk-of-nobody",
        default_headers={"X-Agent-ID": order["agent"]},
        extra_body={"sbp": {}},
        max_retries=0,
    )
    json.dump(DEEDS[order["deed"]](model, **order["with"]), sys.stdout)


main()
