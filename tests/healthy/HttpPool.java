// The JVM's own HTTP server with a fixed pool, beside a scheduled one, a cached one and the common one. Usage:
// java HttpPool.java; tells its port.
import com.sun.net.httpserver.HttpServer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;

public class HttpPool {
  private static final Object lock = new Object();
  private static long served;

  public static void main(String[] args) throws Exception {
    ExecutorService cached =
        new ThreadPoolExecutor(0, 64, 2, TimeUnit.SECONDS, new SynchronousQueue<>(),
                               new ThreadPoolExecutor.CallerRunsPolicy());
    ScheduledExecutorService scheduled = Executors.newScheduledThreadPool(2);
    scheduled.scheduleAtFixedRate(() -> LongStream.range(0, 1000).parallel().sum(), 1, 1, TimeUnit.SECONDS);
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), 64);
    server.createContext("/", exchange -> {
      cached.execute(HttpPool::rest);
      ForkJoinPool.commonPool().execute(HttpPool::rest);
      byte[] answer;
      synchronized (lock) {
        answer = ("served " + ++served + "\n").getBytes();
      }
      exchange.sendResponseHeaders(200, answer.length);
      exchange.getResponseBody().write(answer);
      exchange.close();
    });
    server.setExecutor(Executors.newFixedThreadPool(16));
    server.start();
    System.out.println(server.getAddress().getPort());
  }

  private static void rest() {
    try {
      Thread.sleep(5);
    } catch (InterruptedException ended) {
      Thread.currentThread().interrupt();
    }
  }
}
