/** The panel with the link to the waiting page. */

import { say } from "./admin-dialogs.js";
import { element, newId } from "./admin-dom.js";

/** The URL of the waiting page: to copy, to open, or to scan as a QR code. */
export function waitingPage(queueId) {
  const path = `/wait/${encodeURIComponent(queueId)}`;
  const inputId = newId("link");
  const link = element("input", {
    id: inputId,
    type: "text",
    readonly: true,
    value: new URL(path, location.href).href,
  });
  const picture = element("img", {
    src: `${path}/qr.svg`,
    alt: "QR code of this address",
    width: "132",
    height: "132",
  });
  const download = element(
    "a",
    { class: "button", href: `${path}/qr.svg`, download: `${queueId}-qr.svg` },
    "Download the QR code",
  );
  picture.addEventListener("error", () => {
    picture.remove();
    download.remove();
  });
  async function copy() {
    link.select();
    try {
      await navigator.clipboard.writeText(link.value);
      say("Copied.");
    } catch {
      // Browsers allow clipboard access only to pages over HTTPS, and to localhost.
      link.focus();
      say("Selected: copy it with Ctrl+C or ⌘C.");
    }
  }
  return element(
    "section",
    { class: "panel waiting-page", "aria-labelledby": "page-title" },
    element("h2", { id: "page-title" }, "The waiting page"),
    element("label", { for: inputId }, "Address"),
    link,
    element(
      "div",
      { class: "actions start" },
      element("button", { type: "button", onclick: copy }, "Copy"),
      element("a", { class: "button", href: path, target: "_blank", rel: "noopener" }, "Open in a new tab"),
      download,
    ),
    picture,
  );
}
