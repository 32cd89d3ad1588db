# OpenAI's Python client, unmodified: a session of two turns, the second one streamed.
import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("SBP_URL", "http://localhost:8080") + "/v1",
    api_key="unused",
    default_headers={"X-Agent-ID": "python-client"},
)

# #region session
first = client.chat.completions.with_raw_response.create(
    model="gpt-4o",
    messages=[{"role": "user", "content": "My name is Ada."}],
    extra_body={"sbp": {"force_new_session": True}},
)
session_id = first.headers["X-SBP-Session-ID"]
# #endregion
print(first.parse().choices[0].message.content)

stream = client.chat.completions.create(
    model="gpt-4o",
    messages=[{"role": "user", "content": "What is my name?"}],
    extra_body={"sbp": {"session_id": session_id}},
    stream=True,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
