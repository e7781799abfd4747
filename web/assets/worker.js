// Runs the app a second time, beside the page, for what takes long. The page sends the name of its script and its compiled
// wasm: nothing is loaded or compiled twice. Then the app listens itself (web/src/loadlab/worker.rs).
"use strict";

addEventListener(
  "message",
  ({ data: [script, wasm] }) => {
    import(new URL(script, location.href).href)
      .then((app) => app.default({ module_or_path: wasm }))
      .then(
        () => postMessage("ready"),
        (error) => postMessage(`failed ${error}`),
      );
  },
  { once: true },
);
