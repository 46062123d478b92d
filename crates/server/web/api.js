// The server's JSON API. Refusals are problem documents (RFC 9457) and become ApiError.

export class ApiError extends Error {
  constructor(problem, status) {
    super(problem.detail ?? problem.title ?? "The service did not answer as expected.");
    this.code = problem.code ?? "unexpected";
    this.status = status;
  }
}

async function call(method, path, body) {
  const init = { method, credentials: "same-origin", headers: {} };
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new ApiError({ code: "unreachable", detail: "The service cannot be reached. Is it still running?" }, 0);
  }
  if (answer.status === 204) return null;
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(content, answer.status);
  return content;
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);
