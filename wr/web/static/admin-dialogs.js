/** Asking before something is done that cannot be undone. */

import { Left } from "./admin-api.js";
import { element, fill, labelled, newId, write } from "./admin-dom.js";

/**
 * Ask, and do it: the dialog stays open, with the reason, while it cannot be done.
 * @param {object} what
 * @param {string} what.title a question
 * @param {(string|Node)[]} what.text what will happen, one paragraph each
 * @param {string} what.action what the button says
 * @param {boolean} [what.isDanger]
 * @param {string} [what.typed] what has to be typed first
 * @param {string} [what.reason] the label of a reason that may be given
 * @param {Node[]} [what.fields] what else is asked for
 * @param {(reason: string) => Promise<any>} what.run does it
 * @returns {Promise<any>} what `run` gave; undefined if it was called off
 */
export function confirm({ title, text, action, isDanger = false, typed = "", reason = "", fields = [], run }) {
  const titleId = newId("dialog");
  const typing =
    typed &&
    labelled(
      `Type ${typed} to confirm`,
      element("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "none" }),
    );
  const reasoning =
    reason &&
    labelled(
      reason,
      element("input", { type: "text", maxlength: "200", autocomplete: "off" }),
      "Optional. It is recorded with the change.",
    );
  const trouble = element("p", { class: "form-error", role: "alert" });
  const go = element("button", { class: isDanger ? "danger" : "primary", type: "submit" }, action);
  const cancel = element("button", { type: "button" }, "Cancel");
  const form = element(
    "form",
    { novalidate: true, autocomplete: "off" },
    element("h2", { id: titleId }, title),
    text.map((paragraph) => element("p", {}, paragraph)),
    reasoning && reasoning.node,
    fields,
    typing && typing.node,
    trouble,
    element("div", { class: "actions" }, cancel, go),
  );
  const dialog = element("dialog", { "aria-labelledby": titleId }, form);

  return new Promise((resolve) => {
    let outcome;
    let isRunning = false;
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("cancel", (event) => isRunning && event.preventDefault());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(outcome);
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (isRunning) return;
      if (typing && typing.input.value.trim() !== typed) {
        typing.showError(`Type exactly ${typed}.`);
        typing.input.focus();
        return;
      }
      isRunning = true;
      go.setAttribute("aria-busy", "true");
      write(trouble, "");
      try {
        outcome = await run(reasoning ? reasoning.input.value.trim() : "");
        dialog.close();
      } catch (error) {
        if (error instanceof Left) dialog.close();
        else write(trouble, error.message);
      } finally {
        isRunning = false;
        go.removeAttribute("aria-busy");
      }
    });
    document.body.append(dialog);
    dialog.showModal();
    (typing ? typing.input : reasoning ? reasoning.input : cancel).focus();
  });
}

let fading = 0;

/** Tell what has happened, for a few seconds; read out by screen readers. */
export function say(message) {
  const place = document.getElementById("said");
  clearTimeout(fading);
  fill(place, element("p", {}, message));
  fading = setTimeout(() => fill(place), 8000);
}

/** Have screen readers say something that is on the page already. */
export function announce(message) {
  write(document.getElementById("announced"), message);
}
