// Pictures that a run drew: larger and smaller by buttons; the picture then scrolls in its frame.
"use strict";
(() => {
  const prepare = () => {
    for (const figure of document.querySelectorAll("[data-zoom]:not([data-zoomed])")) {
      const picture = figure.querySelector("img");
      let factor = 1;
      figure.dataset.zoomed = "true";
      const show = (next) => {
        factor = Math.max(1, Math.min(8, next));
        picture.style.maxWidth = factor === 1 ? "" : "none";
        picture.style.width = factor === 1 ? "" : `${factor * 100}%`;
      };
      const bar = window.trimtabZoomBar([["+", "Enlarge the picture", () => show(factor * 1.5)], ["−", "Reduce the picture", () => show(factor / 1.5)], ["Whole", "Show the whole picture", () => show(1)]]);
      const frame = document.createElement("div");
      frame.className = "zoom-frame";
      frame.tabIndex = 0;
      frame.setAttribute("role", "group");
      frame.setAttribute("aria-label", "Picture; scrolls when enlarged");
      picture.replaceWith(frame);
      frame.append(picture);
      figure.prepend(bar);
    }
  };
  prepare();
  document.addEventListener("htmx:after:swap", prepare);
})();
