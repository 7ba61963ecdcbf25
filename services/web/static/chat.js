// The conversation on the page of the language model: streamed, with a button that stops an answer.
"use strict";
(() => {
  const box = document.querySelector("[data-chat]");
  if (!box) return;
  const form = box.querySelector("form");
  const field = box.querySelector("textarea");
  const talk = box.querySelector("#talk");
  const stop = box.querySelector("[data-stop]");
  const messages = [];
  let running = null;

  const turn = (text, kind) => {
    const element = document.createElement("p");
    element.className = kind;
    element.textContent = text;
    talk.append(element);
    return element;
  };

  async function answer(element) {
    const response = await fetch("/v1/chat/completions", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        model: "default",
        messages,
        stream: true,
        temperature: 0.2,
        max_tokens: Number(box.dataset.maxTokens),
      }),
      signal: running.signal,
    });
    if (!response.ok) throw new Error((await response.json()).error.message);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error("the answer broke off");
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data: ")) continue;
        if (line === "data: [DONE]") return;
        const chunk = JSON.parse(line.slice(6));
        if (chunk.error) throw new Error(chunk.error.message);
        element.textContent += chunk.choices[0]?.delta.content ?? "";
      }
    }
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const question = field.value.trim();
    if (!question || running) return;
    running = new AbortController();
    stop.hidden = false;
    field.value = "";
    turn(question, "turn asked");
    messages.push({ role: "user", content: question });
    const element = turn("", "turn");
    try {
      await answer(element);
      messages.push({ role: "assistant", content: element.textContent });
    } catch (error) {
      messages.pop(); // the conversation stays as it was
      turn(error.name === "AbortError" ? "Stopped." : error.message, "fault");
    }
    running = null;
    stop.hidden = true;
  });
  stop.addEventListener("click", () => running?.abort());
})();
