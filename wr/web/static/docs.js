"use strict";

// Shows the OpenAPI document in Swagger UI, with which users can try out the API of this server.

const DESCRIPTION = "/api/v1/openapi.json";
const viewer = document.getElementById("viewer");

/** Whether the operation is a stream. Its response never ends, so Swagger UI would never show it. */
function isStream(operation) {
  const isWebSocket = operation.operationId.endsWith("_websocket");
  return isWebSocket || Object.values(operation.responses).some((answer) => "text/event-stream" in (answer.content ?? {}));
}

/** A plugin for Swagger UI: no trying out of streams, and no links inside buttons. */
function ownWays(description) {
  return {
    statePlugins: {
      spec: {
        wrapSelectors: {
          allowTryItOutFor: () => (_state, path, method) => !isStream(description.paths[path][method]),
        },
      },
    },
    // The button around the link sets the URL too.
    components: { DeepLink: ({ text }) => text },
  };
}

/** Accessibility fixes for Swagger UI: selector, attribute and value. They add names, levels and keyboard access. */
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

/** Swagger UI gives the fields of all keys the same name. This takes the name from the form around each. */
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
  // Keep only the first server, which is this one. The page's policy forbids requests to others.
  description.servers.length = 1;
  new MutationObserver(mend).observe(viewer, { childList: true, subtree: true });
  window.SwaggerUIBundle({
    spec: description,
    domNode: viewer,
    plugins: [ownWays(description)],
    deepLinking: true,
    // Otherwise Swagger UI would send the document to an external validator.
    validatorUrl: null,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    // The red of numbers in the default theme is too dark for its background.
    syntaxHighlight: { activated: true, theme: "obsidian" },
  });
}

show().catch((error) => {
  viewer.querySelector("[role=status]").textContent = `The API reference could not be shown: ${error.message}`;
});
