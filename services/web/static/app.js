// Live updates for pages that also work without JavaScript: fresh states, the curve, uploads.
"use strict";
(() => {
  const announce = (text) => {
    document.getElementById("announce").textContent = text;
  };
  const refresh = (element) => htmx.trigger(element, "trimtab:refresh");

  // -- lists: refresh every two seconds while the page is visible
  for (const list of document.querySelectorAll("[data-watch=list]")) {
    const id = list.id;
    setInterval(() => {
      const current = document.getElementById(id);
      if (current && !document.hidden) refresh(current);
    }, 2000);
  }

  // -- one job: events draw the curve at once and refresh the rest at most once per second
  const job = document.querySelector("[data-watch=job]");
  if (job) watchJob(job.id);

  function watchJob(id) {
    const now = () => document.getElementById(id);
    const figure = job.querySelector("[data-curve]");
    // Jobs of kinds plan and learn have no curve.
    const curve = figure ? window.trimtabCurve(figure) : { add() {}, reset() {}, running() {} };
    let timer = null;
    let lastRefresh = performance.now();
    let attempt = 0;
    let lost = false;
    const soon = () => {
      if (timer !== null) return;
      timer = setTimeout(() => {
        timer = null;
        lastRefresh = performance.now();
        if (now()) refresh(now());
      }, Math.max(60, 1000 - (performance.now() - lastRefresh)));
    };

    // The page already shows everything up to now: a terminal job needs no refresh after the replay.
    let live = job.dataset.terminal !== "true";
    const stream = new EventSource(job.dataset.events);
    const on = (name, handle) => stream.addEventListener(name, (message) => handle(JSON.parse(message.data).data));
    stream.addEventListener("open", () => {
      if (lost) announce("Reconnected.");
      lost = false;
    });
    stream.addEventListener("error", () => {
      if (stream.readyState === EventSource.CLOSED) curve.running(false);
      if (!lost) announce("Connection lost; reconnecting.");
      lost = true;
    });
    on("incumbent", (point) => {
      curve.add(point);
      if (live) soon();
    });
    on("state", (state) => {
      curve.running(state.state === "RUNNING" && live);
      if (state.state === "RUNNING" && state.attempt !== attempt) {
        attempt = state.attempt;
        curve.reset();
      }
      lastRefresh = -1000; // a change of state is shown at once
      if (live) soon();
    });
    on("phase", () => live && soon());
    on("log", () => live && soon());
    stream.addEventListener("end", () => {
      stream.close();
      curve.running(false);
      if (live) soon();
      live = false;
    });
    // The age of the heartbeat and the run time change without events.
    // At rest nothing does, and its owner may be typing.
    const moves = () => live && !document.hidden && !(now() && now().dataset.resting);
    setInterval(() => moves() && performance.now() - lastRefresh > 2500 && soon(), 1000);

    let state = job.dataset.state;
    document.addEventListener("htmx:after:swap", () => {
      const element = now();
      if (!element || element.dataset.state === state) return;
      state = element.dataset.state;
      const sentence = element.querySelector(".termination");
      announce(`Job is now ${state.toLowerCase().replaceAll("_", " ")}. ${sentence ? sentence.textContent.trim() : ""}`);
      document.title = element.querySelector(".status .chip").textContent + document.title.slice(document.title.indexOf(":"));
    });
  }

  // -- a report in its frame: as high as it is, so that the page scrolls rather than the frame
  const fitReport = () => {
    for (const frame of document.querySelectorAll("iframe[data-report]")) {
      const fit = () => {
        const page = frame.contentDocument;
        // Not scrollHeight, which is never less than the frame's own height.
        if (page && page.body) frame.style.height = `${Math.ceil(page.body.getBoundingClientRect().height) + 4}px`;
      };
      if (!frame.dataset.fitted) {
        frame.dataset.fitted = "true";
        frame.addEventListener("load", fit);
        new ResizeObserver(fit).observe(frame.parentElement);
      }
      fit();
    }
  };
  fitReport();
  document.addEventListener("htmx:after:swap", fitReport);

  // -- uploads: sent as soon as a file is chosen or dropped, so that the form itself stays small
  function watchUpload(box) {
    const input = box.querySelector("input[type=file]");
    const ref = box.querySelector("input[type=hidden]"); // none where several files are kept
    const kept = box.querySelector(".kept");
    const drop = box.querySelector(".drop");
    const note = box.querySelector(".uploaded");
    const bar = box.querySelector("progress");
    let request = null;
    let pending = 0;
    box.querySelector(".drop-hint").hidden = false;

    const showStatus = (text, bad) => {
      note.hidden = false;
      note.classList.toggle("bad", Boolean(bad));
      note.textContent = text;
    };
    const size = (bytes) => (bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1048576).toFixed(1)} MiB`);

    function keep(reference, words) {
      const option = document.createElement("label");
      option.className = "option";
      const choice = Object.assign(document.createElement("input"), { type: "checkbox", name: kept.dataset.ref, value: reference, checked: true });
      option.append(choice, ` ${words}`);
      kept.append(option);
    }

    function sendAll(files) {
      if (!kept) send(files[0]);
      else for (const file of [...files]) send(file);
    }

    function send(file) {
      if (request && !kept) request.abort();
      request = new XMLHttpRequest();
      const mine = request;
      if (ref) ref.value = "";
      pending += 1;
      box.dataset.busy = "true";
      bar.hidden = false;
      bar.value = 0;
      showStatus(`Uploading ${file.name} (${size(file.size)})`);
      mine.open("POST", `/v1/artifacts?name=${encodeURIComponent(file.name)}`);
      mine.setRequestHeader("Content-Type", "application/octet-stream");
      mine.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) bar.value = event.loaded / event.total;
      });
      mine.addEventListener("loadend", () => {
        pending -= 1;
        if (pending === 0) {
          bar.hidden = true;
          delete box.dataset.busy;
        }
        if (request !== mine && !kept) return; // another file took its place
        let answer = {};
        try {
          answer = JSON.parse(mine.responseText);
        } catch {
          // without JSON the status below is the message
        }
        if (mine.status >= 200 && mine.status < 300 && answer.digest) {
          const { digest, name, size_bytes, media_type } = answer;
          const reference = JSON.stringify({ digest, name: name || file.name, size_bytes, media_type });
          input.value = ""; // already uploaded: the form sends the reference alone
          input.required = false;
          if (kept) keep(reference, `${file.name} (${size(file.size)})`);
          else ref.value = reference;
          showStatus(`Uploaded: ${file.name} (${size(file.size)}). Choose ${kept ? "more files to add them" : "another file to replace it"}.`);
        } else {
          input.value = "";
          const reason = answer.detail || (mine.status ? `status ${mine.status}` : "no connection");
          showStatus(`Upload of ${file.name} failed: ${reason}${answer.fix ? `; ${answer.fix}` : ""}.`, true);
        }
      });
      mine.send(file);
    }

    input.addEventListener("change", () => input.files.length && sendAll(input.files));
    for (const name of ["dragenter", "dragover"]) {
      drop.addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) sendAll(event.dataTransfer.files);
    });
  }
  window.trimtabUploads = (part) => part.querySelectorAll("[data-upload]").forEach(watchUpload);
  window.trimtabUploads(document);

  // A file dropped outside the box must not replace the page. Submitting waits for uploads.
  for (const form of document.querySelectorAll("[data-form]")) {
    for (const name of ["dragover", "drop"]) form.addEventListener(name, (event) => event.preventDefault());
    form.addEventListener("submit", (event) => {
      if (form.querySelector("[data-busy]")) {
        event.preventDefault();
        announce("An upload is still running; submit when it has ended.");
        form.querySelector("[data-busy] input[type=file]").focus();
      }
    });
  }

  const faults = document.querySelector("[data-focus]");
  if (faults) faults.focus();
})();
