"use strict";

// Shows the description of the API in Swagger UI, to be tried out on this very server.

const DESCRIPTION = "/api/v1/openapi.json";
const viewer = document.getElementById("viewer");

/** Whether the operation goes on for ever: its answer would never be shown. */
function isStream(operation) {
  const isWebSocket = operation.operationId.endsWith("_websocket");
  return isWebSocket || Object.values(operation.responses).some((answer) => "text/event-stream" in (answer.content ?? {}));
}

/** A part of Swagger UI that knows what can be tried out, and that links do not stand inside buttons. */
function ownWays(description) {
  return {
    statePlugins: {
      spec: {
        wrapSelectors: {
          allowTryItOutFor: () => (_state, path, method) => !isStream(description.paths[path][method]),
        },
      },
    },
    // The button around it puts the place into the address as well.
    components: { DeepLink: ({ text }) => text },
  };
}

/** What Swagger UI leaves without a name, on the wrong level or out of the keyboard's reach: selector, attribute,
 * value. */
const MENDED = [
  [".information-container", "role", "region"],
  [".information-container", "aria-label", "About this API"],
  [".scheme-container", "role", "region"],
  [".scheme-container", "aria-label", "Server and authorization"],
  ["h3", "aria-level", "2"],
  [".models > h4", "aria-level", "2"],
  ["h4:not(.models > h4, .headers__title)", "aria-level", "3"],
  ["h5", "aria-level", "4"],
  [".responses-table", "role", "table"],
  [".curl, .microlight", "tabindex", "0"],
  [".modal-ux", "role", "dialog"],
  [".modal-ux", "aria-label", "Available authorizations"],
  [".close-modal", "aria-label", "Close"],
  ["#auth-bearer-value", "aria-label", "Token"],
  ["#api_key_value", "aria-label", nameOfKey],
  ["select#servers", "aria-label", "Server"],
  [".body-param__text", "aria-label", "Request body"],
];

/** The viewer gives the fields of all keys one name; the form around says which it is. */
function nameOfKey(field) {
  return field.closest("form")?.textContent.includes("OriginKey") ? "Origin key" : "Admin key";
}

function mend() {
  for (const [selector, attribute, value] of MENDED) {
    for (const element of viewer.querySelectorAll(selector)) {
      element.setAttribute(attribute, typeof value === "string" ? value : value(element));
    }
  }
}

async function show() {
  const answer = await fetch(DESCRIPTION);
  if (!answer.ok) {
    throw new Error(`${DESCRIPTION} was answered with ${answer.status}`);
  }
  const description = await answer.json();
  // The first is this server, at whatever address it was reached; the page may not ask any other.
  description.servers.length = 1;
  new MutationObserver(mend).observe(viewer, { childList: true, subtree: true });
  window.SwaggerUIBundle({
    spec: description,
    domNode: viewer,
    plugins: [ownWays(description)],
    deepLinking: true,
    // Otherwise the description would be sent to a checker elsewhere.
    validatorUrl: null,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    // The usual theme writes numbers in a red that is too dark for its ground.
    syntaxHighlight: { activated: true, theme: "obsidian" },
  });
}

show().catch((error) => {
  viewer.querySelector("[role=status]").textContent = `The API reference could not be shown: ${error.message}`;
});
