// Buttons above a curve or a picture: [text, name, action] each.
"use strict";
window.trimtabZoomBar = (buttons) => {
  const bar = document.createElement("div");
  bar.className = "zoom";
  for (const [text, name, act] of buttons) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small";
    button.textContent = text;
    button.setAttribute("aria-label", name);
    button.addEventListener("click", act);
    bar.append(button);
  }
  return bar;
};
